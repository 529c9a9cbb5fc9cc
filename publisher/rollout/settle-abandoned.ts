import { isCode } from '../../shared/errors.ts';
import type { ExitCode } from '../events.ts';
import type { Forgetting } from '../fleet/forgetting.ts';
import type { Lock } from '../record/held-lock.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { acquireLock } from './acquire-lock.ts';
import { repeatRollback, rollBackIfDue } from './auto-rollback.ts';
import { cancelledBy } from './decisions.ts';
import { refuseIfFleetIsNewer } from './lost-desired.ts';
import type { Observation } from './observe.ts';
import { withPulse } from './pulse.ts';
import {
  isFinal,
  isRollBackDue,
  isRollBackLeft,
  lastEndingMs,
  recordOutcome,
  settledEvent,
  settleNow,
} from './record-outcome.ts';
import { assertFiles, isCurrent } from './trusted-order.ts';
import { announceCancelled } from './wave-announcements.ts';

/** Settles a deployment whose publisher has stopped, and carries out its rollback. */

/** A watch of one deployment. */
export interface Watch extends Observation {
  session: Session;
  /** The deployment's id. */
  deployment: string;
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
  forgetting: Forgetting;
  /** When the watch ends, on the monotonic clock, ms. */
  until: number;
}

/**
 * Takes the lock, settles the deployment and carries out its rollback.
 * @returns the exit code of the deployment; `locked` when another publisher holds the lock; `detached` after Ctrl-C.
 * @throws FENCED, RECORD_DAMAGED, ARTIFACT_DIGEST_MISMATCH, AWS_*.
 */
export async function settleUnderLock(
  watch: Watch,
  service: string,
): Promise<ExitCode | 'locked' | 'detached'> {
  const { session, deployment, detach } = watch;
  let lock: Lock;
  try {
    lock = await acquireLock(session, { service, command: 'watch', deployment, detach });
  } catch (error) {
    if (isCode(error, 'LOCKED')) return 'locked';
    if (isCode(error, 'CANCELLED')) return 'detached';
    throw error;
  }
  try {
    return await settle(watch, lock, service);
  } finally {
    await lock.release();
  }
}

/** Reads the record again under the lock: the last owner of the lock may have settled the deployment. */
async function settle(watch: Watch, lock: Lock, service: string): Promise<ExitCode> {
  const { session, deployment, progress, detach } = watch;
  const { deployments } = session.record;
  const [stored, newest, reports] = await Promise.all([
    deployments.read(service, deployment),
    deployments.newest(service),
    watch.readReports(),
  ]);
  for (const report of reports) progress.add(report);
  const newer = newest !== undefined && newest.value.deployment !== deployment;
  if (newer) await isCurrent(session, newest.value, lock.sequence);
  const overtaken = !(await isCurrent(session, stored.value, lock.sequence)) || newer;
  const ended = isFinal(stored.value);
  const settled = ended ? stored : await recordAbandoned(watch, stored, overtaken);
  session.emit(settledEvent(session.clock, settled.value, ended || undefined));
  if (!overtaken) {
    if (isRollBackDue(settled.value)) await refuseIfFleetIsNewer(session, settled.value);
    await withPulse(session, settled, (heard) => rollBackIfDue(heard, lock, settled, detach));
  } else if (newer && isRollBackLeft(settled.value, newest.value)) {
    await withPulse(session, newest, (heard) => repeatRollback(heard, lock, settled, newest, detach));
  }
  return settled.value.exitCode ?? 3;
}

async function recordAbandoned(
  { session, progress, forgetting }: Watch,
  stored: StoredDeployment,
  overtaken: boolean,
): Promise<StoredDeployment> {
  const by = await cancelledBy(session, stored);
  const settlement = settleNow({ ...stored.value, forgotten: [...forgetting.found] }, progress.reports, by);
  if (settlement.moveDesired && !overtaken) await assertFiles(session, stored.value);
  const isStopped =
    by !== undefined || (stored.value.rolling !== undefined && settlement.outcome === 'failed');
  if (isStopped) await announceCancelled(session, stored.value, settlement);
  const tookMs = () => lastEndingMs(stored.value, progress.reports.values());
  return await recordOutcome(session, stored, settlement, { reports: progress.reports, tookMs }, overtaken);
}
