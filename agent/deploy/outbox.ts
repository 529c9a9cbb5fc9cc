import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { retry } from '../../shared/retry.ts';
import { createWakeUp } from '../../shared/wake-up.ts';
import type { Reporter } from './ports.ts';
import type { ServiceState } from './state.ts';
import type { StateStore } from './state-store.ts';
import { withoutDelivered } from './state-transitions.ts';

/**
 * Delivers reports to the record, oldest first. A report stays in the outbox until it is delivered, and may be
 * delivered twice. It is dropped after MAX_AGE, or when a newer report of the same deployment follows. A report that
 * cannot be delivered has no effect on the services.
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
  /** Sends the reports that wait behind another one to their publisher: S3 may be down while SQS works. */
  const told = new Set<string>();
  const tellWaiting = () => {
    const [, ...behind] = store.read().outbox;
    const keys = behind.map(({ report }) => `${report.deployment} ${report.n} ${report.state}`);
    for (const [i, { report, replyTo }] of behind.entries()) {
      if (!told.has(keys[i] ?? '')) ports.reporter.progress(report, replyTo);
    }
    told.clear();
    for (const key of keys) told.add(key);
  };
  return {
    wake() {
      tellWaiting();
      wakeUp.wake();
    },
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
          // Only the first failure of an outage is a warning. `status` shows how many reports wait.
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

/**
 * Whether the outbox has a newer report of the deployment of its first one. In the record it replaces the first one.
 */
function hasNewerReport({ outbox: [first, ...rest] }: ServiceState): boolean {
  return rest.some((entry) => entry.report.deployment === first?.report.deployment);
}
