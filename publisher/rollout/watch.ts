import { type ExitCode, note } from '../events.ts';
import { openForgetting } from '../fleet/forgetting.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { cancelledBy } from './decisions.ts';
import { DETACHED } from './driving.ts';
import { follow } from './follow.ts';
import { lookForGone } from './look-for-gone.ts';
import { hasOpenChecks, whyChecksFailed } from './next-check.ts';
import { beginToLook } from './observe.ts';
import { waitingText } from './observed-waves.ts';
import { isFinal, isRollBackLeft, settledEvent, settleNow, unsettledEvent } from './record-outcome.ts';
import type { Settlement } from './settle.ts';
import { settleUnderLock, type Watch } from './settle-abandoned.ts';

/** Follows a deployment by its record only. If its publisher has stopped, settles it, or says how to resume it. */

/** How often the record is read, ms: a watch has no reply queue. */
const POLL_MS = 1000;

export interface WatchOptions {
  /** The deployment's id. */
  deployment: string;
  /** How long to watch, ms. */
  timeoutMs: number;
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/**
 * Follows a deployment until its outcome is final, or until the timeout. If the outcome is final already, shows it and
 * completes the rollback, if one is left.
 * @returns the exit code of the deployment. @throws DEPLOYMENT_NOT_FOUND, FENCED, AWS_*.
 */
export async function watchDeployment(session: Session, options: WatchOptions): Promise<ExitCode> {
  const { clock } = session;
  const service = await session.record.deployments.find(options.deployment);
  const { stored, ...looking } = await beginToLook(session, service, options.deployment);
  const record = stored.value;
  const watch: Watch = {
    ...{ session, deployment: options.deployment, detach: options.detach },
    until: clock.monotonic() + options.timeoutMs,
    ...looking,
    forgetting: openForgetting(session, service, record.forgotten),
  };
  return isFinal(record) ? await showEnded(watch, stored) : await followRecord(watch, stored);
}

async function followRecord(watch: Watch, first: StoredDeployment): Promise<ExitCode> {
  const { session, progress } = watch;
  const { clock } = session;
  const announced = Date.parse(first.value.announcedAt);
  const elapsed = () => clock.now() - announced;
  // The timeout of this watch applies, not the timeout of the publisher.
  const timeoutMs = Math.max(1, elapsed() + watch.until - clock.monotonic());
  const record = { ...first.value, policy: { ...first.value.policy, timeoutMs } };
  let latest = first;
  let undriven = false;
  await watch.waves.see(first.value);
  const { deployment, expected: targets } = first.value;
  const settlement = await follow(session, {
    record,
    forgotten: () => watch.forgetting.found,
    progress,
    read: watch.readReports,
    pollMs: POLL_MS,
    elapsed,
    async afterPoll() {
      // Each read of the lock counts as watching it: this shortens the wait for the lock of a dead publisher later.
      const lock = await session.record.locks.look(record.service).catch(() => undefined);
      latest = await reread(watch, latest);
      await lookForGone(session, watch.forgetting, { deployment, targets, reports: progress.reports });
      // A rolling deployment does not continue without a publisher, and a watch does not drive it.
      undriven = record.rolling !== undefined && lock !== undefined && lock.state !== 'held';
      return isFinal(latest.value) || undriven;
    },
    detach: watch.detach,
    abort: session.signal,
  });
  if (isFinal(latest.value)) return await showEnded(watch, latest);
  if (undriven) return await showUndriven(watch, latest);
  if (settlement === undefined) return detached(session, record);
  return await settleWhenUndriven(watch, latest, settlement);
}

/** Reads the record again and emits what is new. Returns `stored` when the record cannot be read. */
async function reread({ session, waves }: Watch, stored: StoredDeployment): Promise<StoredDeployment> {
  const { service, deployment } = stored.value;
  const latest = await session.record.deployments.read(service, deployment).catch(() => stored);
  await waves.see(latest.value);
  return latest;
}

/**
 * To be called when all instances have ended, or the time is up. Waits for the publisher of the deployment to settle
 * it. If that publisher no longer holds the lock, settles it here.
 */
async function settleWhenUndriven(
  watch: Watch,
  stored: StoredDeployment,
  settlement: Settlement,
): Promise<ExitCode> {
  const { session } = watch;
  const { clock } = session;
  const { service, deployment } = stored.value;
  for (let latest = stored; ; latest = await reread(watch, latest)) {
    if (isFinal(latest.value)) return await showEnded(watch, latest);
    const lock = await session.record.locks.look(service);
    const driver = lock.state === 'held' && lock.owner?.deployment === deployment ? lock.owner : undefined;
    if (driver === undefined) {
      // It may have settled the deployment, then released the lock, after the record was read here.
      const now = await reread(watch, latest);
      if (isFinal(now.value)) return await showEnded(watch, now);
      // A watch makes no checks.
      return hasOpenChecks(now.value)
        ? await showUndriven(watch, now)
        : await settleHere(watch, now, settlement);
    }
    if (clock.monotonic() >= watch.until) {
      return showUnsettled(session, latest.value, settlement, waitingText(latest.value, driver.who));
    }
    if (await isDetached(watch)) return detached(session, latest.value);
  }
}

/** Waits until the next poll; true when Ctrl-C came first. */
async function isDetached({ session, detach }: Watch): Promise<boolean> {
  try {
    await session.clock.sleep(POLL_MS, AbortSignal.any([session.signal, detach]));
  } catch (error) {
    if (!detach.aborted) throw error;
  }
  return detach.aborted;
}

/** Settles under the lock. While another publisher holds it, or without a signing key, the outcome is only shown. */
async function settleHere(watch: Watch, stored: StoredDeployment, settlement: Settlement): Promise<ExitCode> {
  const { session } = watch;
  if (session.env.signingKey === undefined) {
    const why = 'not settled: this config has no signingKey for the environment';
    return isFinal(stored.value)
      ? show(session, stored.value)
      : showUnsettled(session, stored.value, settlement, why);
  }
  const settled = await settleUnderLock(watch, stored.value.service);
  if (settled === 'detached') return detached(session, stored.value);
  if (settled !== 'locked') return settled;
  return isFinal(stored.value)
    ? show(session, stored.value)
    : showUnsettled(session, stored.value, settlement);
}

/**
 * To be called when the outcome is final. If a rollback is left: waits for it while a publisher holds the lock; else
 * starts it, or repeats it if it was started but not followed to its end. Then shows the outcome.
 */
async function showEnded(watch: Watch, stored: StoredDeployment): Promise<ExitCode> {
  const { session } = watch;
  const { deployments, locks } = session.record;
  const { service, rollBackTo } = stored.value;
  let noted = false;
  for (let latest = stored; rollBackTo !== undefined; latest = await reread(watch, latest)) {
    const newest = (await deployments.newest(service))?.value;
    if (newest === undefined || !isRollBackLeft(latest.value, newest)) return show(session, latest.value);
    const { state, owner } = await locks.look(service);
    if (state !== 'held') {
      return await settleHere(watch, latest, settleNow(latest.value, watch.progress.reports));
    }
    if (!noted)
      note(session, `${owner?.who} is rolling back to ${rollBackTo}; waiting for the rollback to end`);
    noted = true;
    if (session.clock.monotonic() >= watch.until) return show(session, latest.value);
    if (await isDetached(watch)) return detached(session, latest.value);
  }
  return show(session, stored.value);
}

function show({ emit, clock }: Session, record: DeploymentRecord): ExitCode {
  emit(settledEvent(clock, record, true));
  return record.exitCode ?? 3;
}

function showUnsettled(
  { emit, clock }: Session,
  record: DeploymentRecord,
  settlement: Settlement,
  why = 'not settled: another publisher holds the lock',
): ExitCode {
  emit(unsettledEvent(clock, record, settlement, why));
  return settlement.exitCode;
}

/**
 * To be called when the publisher of a rolling deployment died or was detached. If a person cancelled the deployment, or
 * a check has failed, settles it; else shows the command that continues it.
 */
async function showUndriven(watch: Watch, stored: StoredDeployment): Promise<ExitCode> {
  const { session, progress } = watch;
  const record = stored.value;
  const by = await cancelledBy(session, stored);
  const settlement = settleNow(record, progress.reports, by);
  const { rolling } = record;
  const hasFailed = rolling !== undefined && whyChecksFailed({ ...record, rolling }) !== undefined;
  if (by !== undefined || hasFailed) return await settleHere(watch, stored, settlement);
  const why = `not settled; to continue: trigger-deploy resume ${record.deployment} --env ${record.env}`;
  return showUnsettled(session, record, { ...settlement, outcome: 'timed-out', exitCode: 3 }, why);
}

function detached(session: Session, { deployment, env }: DeploymentRecord): ExitCode {
  note(session, `stopped watching: trigger-deploy watch ${deployment} --env ${env} follows it again`);
  return DETACHED;
}
