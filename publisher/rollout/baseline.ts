import type { Desired } from '../../shared/desired.ts';
import { note } from '../events.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { refuseIfChanged } from '../record/if-sequence.ts';
import { beginReads, type Reads } from '../record/reads.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { cancelledBy } from './decisions.ts';
import { openProgress } from './follow.ts';
import { lostDesired } from './lost-desired.ts';
import { isFinal, lastEndingMs, recordOutcome, settleNow } from './record-outcome.ts';
import { assertFiles, isCurrent } from './trusted-order.ts';

/**
 * Reads the state before a change, and notices what another writer changed in the bucket. If the newest deployment has no
 * final outcome (its publisher died, detached, did not wait or timed out), it is settled first, and this can set the
 * desired state. Otherwise a later rollback would not return to a version that a detached deployment brought to all
 * instances. The caller holds the lock, which it took with `lockSequence`. `ifSequence`: the desired state that is to be
 * changed, if not any: to settle a deployment may have changed it.
 * @throws CHANGED; RECORD_DAMAGED when the newest deployment has this sequence, or a higher one; ARTIFACT_DIGEST_MISMATCH; AWS_*,
 * SIGNATURE_INVALID, DOCUMENT_INVALID.
 */
export async function readBaseline(
  session: Session,
  service: string,
  lockSequence: number,
  reads: Pick<Reads, 'recent' | 'desired'> = beginReads(session.record, service),
  ifSequence?: number,
): Promise<Baseline> {
  const [newest, ...older] = await reads.recent;
  const current =
    newest === undefined || (await isCurrent(session, newest.value, lockSequence, () => reads.desired));
  const leftover = newest !== undefined && !isFinal(newest.value) && current;
  const last = leftover ? await settleLeftover(session, newest) : newest?.value;
  const stored = await (leftover ? session.record.desired.read(service) : reads.desired);
  const desired = stored?.value;
  refuseIfChanged({ env: session.env.name, service, ifSequence }, desired, session.clock.now());
  const records = [...(last ? [last] : []), ...older.map(({ value }) => value)];
  return { desired, last, leftover, records, lost: lostDesired(desired, records) };
}

/** The state of a service before a change. */
export interface Baseline {
  desired: Desired | undefined;
  /** The newest deployment. */
  last: DeploymentRecord | undefined;
  /** Whether `last` had no final outcome before this read: the person who started it may not know the outcome. */
  leftover: boolean;
  /** The newest deployments, `last` first. */
  records: DeploymentRecord[];
  /** A deployment that set a newer desired state than `desired`, which was put back or deleted since. */
  lost: DeploymentRecord | undefined;
}

/** The newest deployments and the desired state, as they are: nothing is settled. Pure. */
export function baselineAsRead(
  desired: Desired | undefined,
  recent: readonly StoredDeployment[],
): Pick<Baseline, 'desired' | 'last' | 'lost'> {
  const records = recent.map(({ value }) => value);
  return { desired, last: records[0], lost: lostDesired(desired, records) };
}

/**
 * The version to roll back to if the next change fails: usually the desired version. If the newest deployment wrote the
 * desired state before its announcement and then failed, it is the version that this deployment replaced. If the
 * desired state was put back, it is the version that was desired last.
 */
export function previousVersion({
  desired,
  last,
  lost,
}: Pick<Baseline, 'desired' | 'last' | 'lost'>): string | null {
  if (lost !== undefined) return lost.version;
  if (desired === undefined) return null;
  const ahead =
    last?.action === 'deploy' && last.status === 'failed' && last.deployment === desired.deployment;
  return ahead ? last.previous : desired.version;
}

/**
 * Settles the newest deployment from the reports in the record, without waiting. It starts no rollback, because a newer
 * change follows.
 */
async function settleLeftover(session: Session, stored: StoredDeployment): Promise<DeploymentRecord> {
  const record = stored.value;
  const reports = await session.record.deployments.reports(record.service, record.deployment);
  const progress = openProgress({ clock: session.clock, emit: () => undefined }, record, () => 0);
  for (const report of reports) progress.add(report);
  const settlement = settleNow(record, progress.reports, await cancelledBy(session, stored));
  if (settlement.outcome === record.status) return record;
  if (settlement.moveDesired) await assertFiles(session, record);
  const outcome = { ...settlement, rollBack: false };
  const tookMs = () => lastEndingMs(record, reports);
  const settled = await recordOutcome(session, stored, outcome, { reports: progress.reports, tookMs });
  const text = `${record.action} ${record.deployment} of ${record.version} was not settled by its publisher: ${settled.value.outcome}`;
  note(session, text);
  return settled.value;
}
