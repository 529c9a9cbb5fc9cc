import type { ErrorView, LiveMessage, RunView } from '../api.ts';
import { type Told, tell, type Watch } from '../looks/watches.ts';
import type { Connection } from './answer.ts';

/** How often the page hears that the server is alive, ms: a load balancer ends a connection that is idle for 60 s. */
export const ALIVE_MS = 15_000;
/** A reader that takes nothing for this long is gone, ms. */
const STUCK_MS = 60_000;
/** Behind a proxy a stream ends after this time, ms: the next one is asked again who the person is. */
export const PROXIED_MS = 15 * 60_000;

export interface StreamOptions {
  /** Begins to look. @throws when it cannot be read. */
  join(show: (told: Told) => void): Promise<Watch>;
  /** Calls `show` with the commands of this console now, and whenever they change. Returns what ends that. */
  runs(show: (runs: readonly RunView[]) => void): () => void;
  /** What this person may see of the message; undefined when nothing. Left out when they may see all of it. */
  visible?: ((message: LiveMessage) => LiveMessage | undefined) | undefined;
  /** Whether the person is still admitted; asked every 15 s. */
  isAdmitted(): Promise<boolean>;
  /** When the stream ends, ms; never when left out. */
  endsAfterMs?: number | undefined;
  explain(error: unknown): Promise<ErrorView>;
  now(): number;
}

/**
 * Writes one page's stream: a snapshot, then all that changes. A reader that is too slow misses the changes and gets a
 * new snapshot instead, so a stream never holds more than one snapshot that is not sent. It ends with its connection.
 */
export function writeStream(connection: Connection, options: StreamOptions): void {
  const { visible, now } = options;
  let isGone = false;
  let blockedAt: number | undefined;
  let hasMissed = false;
  let watch: Watch | undefined;
  let runs: readonly RunView[] = [];

  const write = (told: Told) => {
    if (isGone) return;
    if (blockedAt !== undefined) {
      hasMissed = true;
      return;
    }
    const seen = visible === undefined ? told : seenOf(told, visible);
    if (seen === undefined) return;
    if (connection.write(`data: ${seen.text()}\n\n`)) return;
    blockedAt = now();
    connection.onSent(() => {
      blockedAt = undefined;
      if (!hasMissed) return;
      hasMissed = false;
      if (watch !== undefined) write(watch.snapshot());
      write(tell({ type: 'runs', runs }));
    });
  };

  const leaveRuns = options.runs((views) => {
    runs = views;
    write(tell({ type: 'runs', runs }));
  });
  const beat = setInterval(() => {
    if (blockedAt !== undefined && now() - blockedAt > STUCK_MS) return connection.destroy();
    if (blockedAt === undefined) write(tell({ type: 'alive', at: now() }));
    void options.isAdmitted().then(
      (isAdmitted) => {
        if (!isAdmitted) connection.end();
      },
      () => connection.end(),
    );
  }, ALIVE_MS);
  const { endsAfterMs } = options;
  const ending = endsAfterMs === undefined ? undefined : setTimeout(() => connection.end(), endsAfterMs);

  connection.onGone(() => {
    isGone = true;
    clearInterval(beat);
    clearTimeout(ending);
    leaveRuns();
    watch?.leave();
  });

  options.join(write).then(
    (joined) => {
      if (isGone) return joined.leave();
      watch = joined;
      write(joined.snapshot());
    },
    async (thrown: unknown) => {
      const error = await options.explain(thrown);
      write(tell({ type: 'trouble', at: now(), error }));
      connection.end();
    },
  );
}

function seenOf(told: Told, visible: (message: LiveMessage) => LiveMessage | undefined): Told | undefined {
  const seen = visible(told.message);
  return seen === told.message ? told : seen && tell(seen);
}
