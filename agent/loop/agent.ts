import type { Clock } from '../../shared/clock.ts';
import { formatMs } from '../../shared/duration.ts';
import { HEARTBEAT_EVERY_MS } from '../../shared/heartbeat.ts';
import { ANSWERS_WITHIN, aborted, orLeft, untilTime } from '../deploy/abandon.ts';
import type { Reporter } from '../deploy/ports.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import { reasonsOf } from './converge-all.ts';
import { takeLocalOrders } from './local-orders.ts';
import { type LookParts, lookForChanges, lookInTurn } from './look.ts';
import type { Heartbeat, LocalOrders, Notifier } from './ports.ts';
import { createReceiver, type ReceiverParts } from './receiver.ts';
import { repeat, withJitter } from './repeat.ts';
import { type LogRounds, shipLogs } from './ship-logs.ts';
import { pingWatchdog } from './watchdog.ts';

/** Runs all loops of the agent at the same time: services, queue, local orders, convergence, records, watchdog. */

export interface AgentParts extends ReceiverParts, LookParts {
  desired: LookParts['desired'];
  local: LocalOrders;
  notifier: Notifier;
  /** Watches the life of the instance; undefined where the config does not ask for it. */
  life?: ((stopping: AbortSignal) => Promise<void>) | undefined;
  heartbeat: Heartbeat;
  /** Of the services whose logs are uploaded. */
  logs?: readonly LogRounds[];
}

/** ms */
const RECORD_EVERY = 5 * 60 * 1000;
/** Less than the unit's TimeoutStopSec. */
const STOPS_WITHIN = 30 * 1000;
const STOP_EXTENDED_EVERY = 10 * 1000;
const STOP_EXTENDED_BY = 60 * 1000;

/**
 * Runs until `stopping` aborts and every deployment has journalled its state. Reports READY before it starts a unit or
 * calls AWS. Otherwise a unit that is ordered `After=` the agent would deadlock, and an outage of AWS would become a
 * crash loop.
 */
export async function runAgent(parts: AgentParts, stopping: AbortSignal): Promise<void> {
  const { notifier, log, workers, verifier } = parts;
  await notifier.ready();
  log.info({ services: [...workers.keys()], keys: verifier.kids }, 'ready');
  if (verifier.kids.length === 0)
    log.warn('trust: none: signatures are not checked; anyone who can publish to the topic can deploy here');
  const receiver = createReceiver(parts);
  const stopped = new AbortController();
  aborted(stopping, stopped.signal).then(
    () => extendStopTimeout(parts, stopped.signal),
    () => {},
  );
  const loops = [
    ...[...workers].map(([service, worker]) => ({ name: `service ${service}`, ended: worker.run(stopping) })),
    { name: 'records', ended: keepRecords(parts, stopping) },
    { name: 'heartbeat', ended: sendHeartbeats(parts, stopping) },
    { name: 'converging', ended: lookForChanges(parts, stopping, receiver.renew) },
    { name: 'converging in turn', ended: lookInTurn(parts, stopping) },
    { name: 'queue', ended: receiver.run(stopping) },
    { name: 'local orders', ended: takeLocalOrders(parts, stopping) },
    ...(parts.life ? [{ name: 'life', ended: parts.life(stopping) }] : []),
    ...(parts.logs?.length ? [{ name: 'logs', ended: shipLogs(parts, parts.logs, stopping) }] : []),
    { name: 'watchdog', ended: pingWatchdog(parts, receiver.lastRound, stopping) },
  ];
  await endOfAll(parts, loops, stopping).finally(() => stopped.abort());
}

/**
 * Waits until all loops have ended, but after a stop no longer than STOPS_WITHIN, and than a hook that runs may take: a
 * call that never returns must not keep the agent. The journal has what was done; the next start continues from it.
 */
async function endOfAll(
  { workers, clock, log }: Pick<AgentParts, 'workers' | 'clock' | 'log'>,
  loops: readonly { name: string; ended: Promise<void> }[],
  stopping: AbortSignal,
): Promise<void> {
  const running = new Set<string>(loops.map(({ name }) => name));
  const all = Promise.all(loops.map(({ name, ended }) => ended.finally(() => running.delete(name))));
  await orLeft(all, async (settled) => {
    await aborted(stopping, settled);
    const end = clock.monotonic() + STOPS_WITHIN;
    const busyUntil = () => Math.max(...[...workers.values()].map((worker) => worker.busyUntil()));
    await untilTime(clock, () => Math.max(end, busyUntil() + ANSWERS_WITHIN), settled);
    return new StopOverdue();
  }).catch((error: unknown) => {
    if (!(error instanceof StopOverdue)) throw error;
    log.error(
      { loops: [...running] },
      `stopping, although these did not end within ${formatMs(STOPS_WITHIN)}`,
    );
  });
}

class StopOverdue extends Error {}

/** Tells systemd to wait longer, up to the longest hook timeout: the agent stops after a running hook has ended. */
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

/**
 * Writes the instance record of each service at the start, and when it differs from the last one written here. A
 * deployment writes the record at its end; this covers a failed write, and changes without a deployment.
 */
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

/**
 * Writes the heartbeat at the start and then again and again: publishers do not wait for an instance that has stopped
 * writing it. The pause has jitter, so that the instances of a fleet do not write together.
 */
async function sendHeartbeats(
  parts: Pick<AgentParts, 'heartbeat' | 'clock' | 'log'>,
  stopping: AbortSignal,
): Promise<void> {
  await repeat(parts, stopping, 'writing the heartbeat', async (signal) => {
    await parts.heartbeat.send(signal);
    return withJitter(HEARTBEAT_EVERY_MS);
  });
}
