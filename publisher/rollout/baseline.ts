import type { Desired } from '../../shared/desired.ts';
import { note } from '../events.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { StoredDeployment } from '../record/deployments.ts';
import type { Session } from '../session.ts';
import { cancelledBy } from './decisions.ts';
import { openProgress } from './follow.ts';
import { isFinal, lastEndingMs, recordOutcome, verdictOn } from './record-outcome.ts';

/**
 * What stands before a change: the desired state, once the newest deployment is settled if its publisher has
 * not done so (it died, was detached, or did not wait). Without that, what a detached deployment brought
 * everywhere would be taken for something to be rolled back over. To be called under the lock.
 */
export async function standingBefore(session: Session, service: string): Promise<Standing> {
  const newest = await session.record.deployments.newest(service);
  const leftover = newest !== undefined && !isFinal(newest.value);
  const last = leftover ? await settleLeftover(session, newest) : newest?.value;
  const stored = await session.record.desired.read(service);
  return { desired: stored?.value, last, leftover };
}

export interface Standing {
  desired: Desired | undefined;
  /** The newest deployment there was. */
  last: DeploymentRecord | undefined;
  /** Whether nobody had settled it: whoever asked for it may not know what became of it. */
  leftover: boolean;
}

/**
 * The version to return to when the coming change fails. A desired state that was written ahead of a
 * deployment that then failed is not it, but what that one replaced.
 */
export function versionToReturnTo({ desired, last }: Pick<Standing, 'desired' | 'last'>): string | null {
  if (desired === undefined) return null;
  const ahead =
    last?.action === 'deploy' && last.status === 'failed' && last.deployment === desired.deployment;
  return ahead ? last.previous : desired.version;
}

/** By the record as it is: who has not ended by now does so unwatched. No rollback: a newer change comes. */
async function settleLeftover(session: Session, stored: StoredDeployment): Promise<DeploymentRecord> {
  const record = stored.value;
  const said = await session.record.deployments.reports(record.service, record.deployment);
  const progress = openProgress({ ...session, emit: () => undefined }, record, () => 0);
  for (const report of said) progress.hear(report);
  const settlement = verdictOn(record, progress.reports, await cancelledBy(session, record));
  if (settlement.outcome === record.status) return record;
  const outcome = { ...settlement, rollBack: false };
  const tookMs = () => lastEndingMs(record, said);
  const settled = await recordOutcome(session, stored, outcome, { reports: progress.reports, tookMs });
  const text = `${record.action} ${record.deployment} of ${record.version} was left unsettled: ${settled.value.outcome}`;
  note(session, text);
  return settled.value;
}
