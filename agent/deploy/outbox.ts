import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { backoffMs } from '../../shared/retry.ts';
import type { Reporter } from './ports.ts';
import type { ServiceState } from './state.ts';
import type { StateStore } from './state-store.ts';
import { withoutDelivered } from './state-transitions.ts';

/**
 * Delivers what must reach the record: at least once, oldest first, however long AWS is away. It never
 * touches what runs: a report that cannot be sent changes nothing on the instance.
 */

const BACKOFF = { first: 500, longest: 60_000 };
/** After a day nobody waits for it any more; the instance record tells what runs. ms */
const MAX_AGE = 24 * 60 * 60 * 1000;

export interface Outbox {
  /** Says that something new may wait. */
  wake(): void;
  /** Delivers until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function createOutbox(
  store: StateStore,
  ports: { reporter: Reporter; clock: Clock },
  log: Log,
): Outbox {
  let wake = Promise.withResolvers<void>();
  const sendNext = async (signal: AbortSignal): Promise<boolean> => {
    const entry = store.read().outbox[0];
    if (!entry) return false;
    const outdated =
      hasNewerReport(store.read()) || ports.clock.now() - Date.parse(entry.report.at) > MAX_AGE;
    if (!outdated) await ports.reporter.deliver(entry.report, entry.replyTo, signal);
    await store.update((state) => withoutDelivered(state, entry.report));
    return true;
  };
  return {
    wake: () => wake.resolve(),
    async run(signal) {
      const aborted = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => aborted.resolve(), { once: true });
      for (let attempt = 0; !signal.aborted; ) {
        wake = Promise.withResolvers();
        try {
          if (await sendNext(signal)) {
            attempt = 0;
            continue;
          }
          await Promise.race([wake.promise, aborted.promise]);
        } catch (error) {
          if (signal.aborted) return;
          const pause = backoffMs(attempt, BACKOFF);
          attempt += 1;
          // Once for each outage: what waits is in `status`, and every try is told at debug.
          log[attempt === 1 ? 'warn' : 'debug'](
            { err: error, waiting: store.read().outbox.length, retryMs: pause },
            'a report could not be delivered',
          );
          await ports.clock.sleep(pause, signal).catch(() => undefined);
        }
      }
    },
  };
}

/** Whether the record's one place for the first report is about to be taken by a later one of the same deployment. */
function hasNewerReport({ outbox: [first, ...rest] }: ServiceState): boolean {
  return rest.some((entry) => entry.report.deployment === first?.report.deployment);
}
