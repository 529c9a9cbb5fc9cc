import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { backoffMs } from '../../shared/retry.ts';
import type { Reporter } from './ports.ts';
import type { ServiceState } from './state.ts';
import type { StateStore } from './state-store.ts';
import { withoutDelivered } from './state-transitions.ts';

/**
 * Delivers reports to the record: at least once, oldest first, through any outage of AWS. It never affects services: a
 * report that cannot be sent changes nothing on the instance.
 */

const BACKOFF = { first: 500, longest: 60_000 };
/** Older reports are dropped, ms: by then the instance record shows what runs. */
const MAX_AGE = 24 * 60 * 60 * 1000;

export interface Outbox {
  /** To be called after each change of the state: the outbox may hold a new report. */
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
          // One warning per outage; `status` shows what waits, and each attempt is logged at debug level.
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

/** Whether a later report of the same deployment follows: it would overwrite the first in the record. */
function hasNewerReport({ outbox: [first, ...rest] }: ServiceState): boolean {
  return rest.some((entry) => entry.report.deployment === first?.report.deployment);
}
