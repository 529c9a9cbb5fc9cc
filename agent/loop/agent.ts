import type { Clock } from '../../shared/clock.ts';
import type { Reporter } from '../deploy/ports.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import { convergeAll, reasonsOf } from './converge-all.ts';
import { takeLocalOrders } from './local-orders.ts';
import type { LocalOrders, Notifier } from './ports.ts';
import { createReceiver, type ReceiverParts } from './receiver.ts';
import { repeat } from './repeat.ts';
import { pingWatchdog } from './watchdog.ts';

/** Everything the agent does at the same time: its services, the queue, converging, its records, the watchdog. */

export interface AgentParts extends ReceiverParts {
  local: LocalOrders;
  notifier: Notifier;
}

/** ms */
const CONVERGE_EVERY = 5 * 60 * 1000;
const CONVERGE_AGAIN_AFTER = 60 * 1000;
const RECORD_EVERY = 5 * 60 * 1000;
const STOP_EXTENDED_EVERY = 10 * 1000;
const STOP_EXTENDED_BY = 60 * 1000;

/**
 * Runs until `stopping` aborts, then lets every deployment checkpoint. Reports READY before it starts any unit and
 * before it reaches AWS: otherwise a service ordered `After=` the agent would deadlock, and an outage of AWS would be
 * a crash loop.
 */
export async function runAgent(parts: AgentParts, stopping: AbortSignal): Promise<void> {
  const { notifier, log, workers, verifier } = parts;
  await notifier.ready();
  log.info({ services: [...workers.keys()], keys: verifier.kids }, 'ready');
  if (verifier.kids.length === 0)
    log.warn('trust: none: signatures are not checked; anyone who can publish to the topic can deploy here');
  const receiver = createReceiver(parts);
  const stopped = new AbortController();
  stopping.addEventListener('abort', () => void extendStopTimeout(parts, stopped.signal), { once: true });
  await Promise.all([
    ...[...workers.values()].map((worker) => worker.run(stopping)),
    keepRecords(parts, stopping),
    repeat(parts, stopping, 'converging', async (signal, round) => {
      // The first read may miss a deployment that was announced before the queue existed; a second one follows soon.
      await convergeAll(parts, signal);
      return round === 0 ? CONVERGE_AGAIN_AFTER : withJitter(CONVERGE_EVERY);
    }),
    receiver.run(stopping),
    takeLocalOrders(parts, stopping),
    pingWatchdog(parts, receiver.lastRound, stopping),
  ]).finally(() => stopped.abort());
}

/** A stop waits for a running hook until that hook times out; systemd has to wait as long. */
async function extendStopTimeout(
  { notifier, workers, clock }: Pick<AgentParts, 'notifier' | 'workers' | 'clock'>,
  stopped: AbortSignal,
): Promise<void> {
  notifier.stopping();
  const hooks = [...workers.values()].flatMap(({ service }) => [
    ...service.hooks.beforeStop,
    ...service.hooks.afterStart,
  ]);
  const end = clock.monotonic() + Math.max(0, ...hooks.map((hook) => hook.timeout));
  while (clock.monotonic() < end && !stopped.aborted) {
    notifier.extend(STOP_EXTENDED_BY);
    await clock.sleep(STOP_EXTENDED_EVERY, stopped).catch(() => undefined);
  }
}

const withJitter = (ms: number) => ms * (0.8 + 0.4 * Math.random());

/** A deployment writes the record itself. This writes a record that was lost, and changes without a deployment. */
async function keepRecords(
  parts: Pick<AgentParts, 'workers' | 'log'> & { reporter: Reporter; clock: Clock },
  stopping: AbortSignal,
): Promise<void> {
  const written = new Map<string, string>();
  const put = async (service: string, worker: ServiceWorker, signal: AbortSignal) => {
    const record = await worker.record(signal);
    const content = JSON.stringify({ ...record, at: undefined });
    if (written.get(service) === content) return;
    await parts.reporter.putInstance(record, signal);
    written.set(service, content);
  };
  await repeat(parts, stopping, 'writing the instance record', async (signal) => {
    const puts = [...parts.workers].map(([service, worker]) => put(service, worker, signal));
    const [failure] = reasonsOf(await Promise.allSettled(puts));
    if (failure !== undefined) throw failure;
    return withJitter(RECORD_EVERY);
  });
}
