import { keys } from '../../shared/names.ts';
import type { Report } from '../../shared/report.ts';
import { isEnding, type ProgressState, type State } from '../../shared/states.ts';
import type { PublisherEvent } from '../events.ts';
import { nonce } from '../record/objects.ts';
import { type Beat, MOST_IN_PULSE, PULSE_NOTE, type Pulse } from '../record/pulse.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';

/**
 * Writes what this publisher hears while it drives (`pulse.json`), for consoles that do not drive. It decides nothing: a
 * write that fails or hangs is dropped, and nothing waits for one. Only where somebody may look: the config has
 * `console:`, or the command runs in a console. Others pay nothing for it.
 */

/** The shortest time between two writes, ms. */
const BETWEEN_MS = 1000;
/** What is heard at about the same time is written at once: the wait after the first, ms. */
const GATHER_MS = 100;
/** A write that takes longer is given up, ms. */
const WRITE_MS = 5000;
/** The longest time between two tries while writes fail, ms: the role may not be allowed to. */
const LONGEST_MS = 60_000;
/** Readers read no more, bytes. */
const LONGEST_PULSE = 120 * 1024;

/** Runs `drive`, and meanwhile writes the pulse of what it drives: `stored`, then the rollback that follows it. */
export async function withPulse<T>(
  session: Session,
  stored: StoredDeployment,
  drive: (session: Session) => Promise<T>,
): Promise<T> {
  if (session.env.hasConsole !== true && session.person === undefined) return await drive(session);
  const over = new AbortController();
  const hear = openPulse(session, stored, over.signal);
  const emit = (event: PublisherEvent) => {
    session.emit(event);
    hear(event);
  };
  try {
    return await drive({ ...session, emit });
  } finally {
    over.abort();
  }
}

/** What is known of the deployment that is driven. */
interface Heard {
  deployment: string;
  service: string;
  version: string;
  expected: readonly string[];
  wave: Pulse['wave'];
  forgotten: Pulse['forgotten'];
  /** The last report of each instance; the one that changed last comes last. */
  reports: Map<string, Report>;
}

function openPulse(
  session: Session,
  { value: record }: StoredDeployment,
  over: AbortSignal,
): (event: PublisherEvent) => void {
  const { clock } = session;
  const about = ({ deployment, service, version }: Pick<Heard, 'deployment' | 'service' | 'version'>) => ({
    ...{ deployment, service, version, wave: undefined, forgotten: undefined, reports: new Map() },
  });
  let heard: Heard = { ...about(record), expected: record.expected };
  let isChanged = false;
  let isWriting = false;
  let wait = BETWEEN_MS;
  let last = Number.NEGATIVE_INFINITY;

  async function writeChanges(): Promise<void> {
    while (isChanged && !over.aborted) {
      await clock.sleep(Math.max(GATHER_MS, last + wait - clock.monotonic()), over);
      isChanged = false;
      last = clock.monotonic();
      const { env } = session;
      const body = pulseText(heard, { env: env.name, now: clock.now(), via: viaOf(session) });
      const key = keys.pulse(env.name, heard.service, heard.deployment);
      const signal = AbortSignal.any([over, AbortSignal.timeout(WRITE_MS)]);
      const isWritten = await session.record.objects.overwrite(key, body, signal).then(
        () => true,
        () => false,
      );
      wait = isWritten ? BETWEEN_MS : Math.min(2 * wait, LONGEST_MS);
    }
  }

  function changed(): void {
    isChanged = true;
    if (isWriting) return;
    isWriting = true;
    writeChanges()
      .catch(() => undefined)
      .finally(() => {
        isWriting = false;
      });
  }

  return (event) => {
    switch (event.type) {
      case 'started':
        heard = { ...about(event), expected: event.expected.map(({ instance }) => instance) };
        return;
      case 'report': {
        const { report } = event;
        if (report.deployment !== heard.deployment) return;
        heard.reports.delete(report.instance);
        heard.reports.set(report.instance, report);
        return changed();
      }
      case 'wave':
        if (event.deployment !== heard.deployment) return;
        heard.wave = { now: event.wave, of: event.of };
        return changed();
      case 'forgotten':
        if (event.deployment !== heard.deployment) return;
        heard.forgotten = event.instances.slice(0, MOST_IN_PULSE);
        return changed();
      default:
    }
  };
}

const viaOf = ({ person, origin }: Session) => (person?.via ?? origin.host).slice(0, 64);

/** As much of it as readers read. Pure. */
export function pulseText(heard: Heard, place: { env: string; now: number; via: string }): string {
  for (let most = MOST_IN_PULSE; ; most = Math.floor(most / 2)) {
    const text = JSON.stringify(pulseOf(heard, place, most));
    if (most === 0 || Buffer.byteLength(text) <= LONGEST_PULSE) return text;
  }
}

function pulseOf(
  { deployment, service, expected, wave, forgotten, reports }: Heard,
  { env, now, via }: { env: string; now: number; via: string },
  most: number,
): Pulse {
  const counts: Partial<Record<State, number>> = {};
  for (const { state } of reports.values()) counts[state] = (counts[state] ?? 0) + 1;
  const going = [...reports.values()].filter(({ state }) => !isEnding(state)).slice(-Math.max(1, most));
  return {
    ...{ v: 1, nonce: nonce(), env, service, deployment, at: new Date(now).toISOString(), via },
    ...{ counts, of: Math.max(expected.length, reports.size) },
    ...(wave !== undefined && { wave }),
    instances: most === 0 ? [] : going.map(beatOf),
    ...(forgotten !== undefined && most > 0 && { forgotten: forgotten.slice(0, most) }),
  };
}

function beatOf({ instance, n, at, state, step, note, zone, version }: Report): Beat {
  return {
    ...{ instance, n, at, state: state as ProgressState, version },
    ...(step !== undefined && { step }),
    ...(note !== undefined && { note: note.slice(0, PULSE_NOTE) }),
    ...(zone !== undefined && { zone }),
  };
}
