import { isCode, messageOf } from '../../shared/errors.ts';
import { isEnding, type Report } from '../../shared/report.ts';
import type { PublisherEvent } from '../events.ts';
import { announceConverge } from '../messaging/announce.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { StoredDeployment } from '../record/deployments.ts';
import type { Session } from '../session.ts';
import type { Progress } from './follow.ts';
import { leftStanding } from './next-step.ts';
import { type Settlement, settleFinally } from './settle.ts';

/** Makes the desired state say what `record` deploys. @throws FENCED when a newer deployment wrote it. */
export async function writeDesired(
  session: Session,
  record: DeploymentRecord,
  before?: string,
): Promise<void> {
  await session.record.desired.move({
    service: record.service,
    version: record.version,
    artifacts: record.artifacts,
    action: record.action === 'rollback' ? 'rollback' : 'deploy',
    sequence: record.sequence,
    deployment: record.deployment,
    changedBy: record.issuedBy,
    previous: before,
  });
}

/**
 * Settles: the desired state moves where the verdict says so, then the record says what became of it. To be
 * called under the lock, and only for the newest deployment of its service, or with `overtaken`: then the
 * desired state and any rollback are left to the newer one.
 */
export async function recordOutcome(
  session: Session,
  stored: StoredDeployment,
  settlement: Settlement,
  progress: Pick<Progress, 'reports' | 'tookMs'>,
  overtaken = false,
): Promise<StoredDeployment> {
  const record = stored.value;
  const moves = settlement.moveDesired && !overtaken && movesDesired(record);
  const moved = moves && (await moveDesired(session, record));
  const rollBackTo = settlement.rollBack && !overtaken ? record.previous : null;
  const consequence = overtaken
    ? 'a newer deployment has begun since'
    : rollBackTo !== null
      ? `rolling back to ${rollBackTo}`
      : await desiredSentence(session, record, moved);
  return await session.record.deployments.update(stored, {
    status: settlement.outcome,
    exitCode: settlement.exitCode,
    settledAt: new Date(session.clock.now()).toISOString(),
    outcome: `${settlement.text}; ${consequence}`,
    counts: settlement.counts,
    silent: settlement.silent,
    tookMs: progress.tookMs(),
    results: resultsOf(record, progress.reports),
    ...(rollBackTo === null ? {} : { rollBackTo }),
  });
}

/** A restart changes no version, and what is for some instances only says nothing of the others. */
export const movesDesired = ({ action, targets }: Pick<DeploymentRecord, 'action' | 'targets'>) =>
  action !== 'restart' && targets === undefined;

/** False when a newer deployment has written it since. */
async function moveDesired(session: Session, record: DeploymentRecord): Promise<boolean> {
  try {
    await writeDesired(session, record);
  } catch (error) {
    if (isCode(error, 'FENCED')) return false;
    throw error;
  }
  if (!record.desiredFirst) await announceConverge(session, record.service);
  return true;
}

/** As it is, and not as the record would have it: a publisher may have died before it wrote the desired state. */
async function desiredSentence(session: Session, record: DeploymentRecord, moved: boolean): Promise<string> {
  if (moved) return `the desired state is ${record.version}`;
  try {
    const stands = (await session.record.desired.read(record.service))?.value;
    if (stands === undefined) return 'no desired state is set';
    const verb = stands.deployment === record.deployment ? 'is' : 'stays';
    return `the desired state ${verb} ${stands.version}`;
  } catch (error) {
    return `the desired state cannot be read: ${messageOf(error)}`;
  }
}

function resultsOf(
  record: DeploymentRecord,
  reports: ReadonlyMap<string, Report>,
): NonNullable<DeploymentRecord['results']> {
  const announcedAt = Date.parse(record.announcedAt);
  return Object.fromEntries(
    [...reports.values()].map((report) => [
      report.instance,
      {
        state: report.state,
        version: report.version,
        tookMs: Math.max(0, Date.parse(report.at) - announcedAt),
        ...(report.error === undefined ? {} : { error: report.error }),
      },
    ]),
  );
}

/**
 * The verdict by what is there, with nothing more waited for, on what its publisher has left; of a rollout in waves also
 * by who called it off.
 */
export function verdictOn(
  record: DeploymentRecord,
  reports: ReadonlyMap<string, Report>,
  cancelledBy?: string,
): Settlement {
  const { rolling } = record;
  return rolling === undefined
    ? settleFinally(record, reports)
    : leftStanding({ ...record, rolling }, reports, cancelledBy);
}

/** Whether its outcome stands: a timed-out one may still come to another. */
export const isFinal = (record: DeploymentRecord) =>
  record.status === 'succeeded' || record.status === 'failed' || record.status === 'cancelled';

/** Whether it failed and the deployment that undoes it has not begun: its publisher died in between. */
export const isRollBackDue = (record: DeploymentRecord) =>
  record.rollBackTo !== undefined && record.rolledBackBy === undefined;

/** Whether it must be undone by a rollback that its publisher did not see the end of; `newest` is the service's newest. */
export function isRollBackLeft(record: DeploymentRecord, newest: DeploymentRecord): boolean {
  if (newest.deployment === record.deployment) return isRollBackDue(record);
  if (record.rollBackTo === undefined || newest.rollbackOf !== record.deployment) return false;
  // What AWS refused to announce is called failed, and was never settled.
  return !isFinal(newest) || newest.settledAt === undefined;
}

/** What a settled record says, for whoever shows it; `shown` when it was not settled just now. */
export function settledEvent(session: Session, record: DeploymentRecord, shown?: true): PublisherEvent {
  return {
    type: 'settled',
    at: session.clock.now(),
    deployment: record.deployment,
    outcome: record.status === 'announced' ? 'timed-out' : record.status,
    exitCode: record.exitCode ?? 3,
    counts: record.counts ?? {},
    silent: record.silent ?? [],
    text: record.outcome ?? 'not settled',
    tookMs: record.tookMs ?? 0,
    shown,
  };
}

/** How long after the announcement the last of these endings came, by the instances' clocks, ms. */
export function lastEndingMs(record: DeploymentRecord, reports: Iterable<Report>): number {
  const announcedAt = Date.parse(record.announcedAt);
  const endings = [...reports].filter((report) => isEnding(report.state));
  return Math.max(0, ...endings.map((report) => Date.parse(report.at) - announcedAt));
}
