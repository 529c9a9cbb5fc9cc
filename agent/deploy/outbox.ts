import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { retry } from '../../shared/retry.ts';
import { createWakeUp } from '../../shared/wake-up.ts';
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
  const wakeUp = createWakeUp();
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
    wake: wakeUp.wake,
    async run(signal) {
      const deliverNext = async () => {
        wakeUp.clear();
        if (!(await sendNext(signal))) await wakeUp.wait(signal);
      };
      while (!signal.aborted) {
        await retry(deliverNext, {
          ...BACKOFF,
          clock: ports.clock,
          signal,
          retryable: () => true,
          // One warning per outage; `status` shows what waits, and each attempt is logged at debug level.
          onRetry: (error, { failures, pauseMs }) =>
            log[failures === 1 ? 'warn' : 'debug'](
              { err: error, waiting: store.read().outbox.length, retryMs: pauseMs },
              'a report could not be delivered',
            ),
        }).catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
      }
    },
  };
}

/** Whether a later report of the same deployment follows: it would overwrite the first in the record. */
function hasNewerReport({ outbox: [first, ...rest] }: ServiceState): boolean {
  return rest.some((entry) => entry.report.deployment === first?.report.deployment);
}
