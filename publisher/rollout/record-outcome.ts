import { isCode, messageOf } from '../../shared/errors.ts';
import type { Report } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import type { PublisherEvent } from '../events.ts';
import { announceConverge } from '../messaging/announce.ts';
import { begun } from '../record/begun.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { DesiredStates } from '../record/desired-state.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { cancelOf } from './decisions.ts';
import type { Output } from './driving.ts';
import type { Progress } from './follow.ts';
import { settleUndriven } from './next-step.ts';
import { type Settlement, settleFinally } from './settle.ts';
import { writeDesired } from './write-desired.ts';

/** Writes the outcome of a deployment: its settlement decides the desired state and the status in the record. */

/**
 * Sets the desired state if the settlement says so, then writes the outcome into the record. The caller holds the lock.
 * If the deployment is not the newest of its service, `overtaken` must be true: then the desired state is not set and
 * no rollback follows.
 * @throws CONDITION_FAILED when another publisher wrote the record since it was read; AWS_*.
 */
export async function recordOutcome(
  session: Session,
  stored: StoredDeployment,
  settlement: Settlement,
  progress: Pick<Progress, 'reports' | 'tookMs'> & Partial<Pick<Progress, 'heardMs'>>,
  overtaken = false,
): Promise<StoredDeployment> {
  const record = stored.value;
  const cancelling = begun(cancelText(session, stored, settlement));
  const moves = settlement.moveDesired && !overtaken && movesDesired(record);
  const moved = moves && (await moveDesired(session, record));
  // Agents are told while the outcome is written.
  const telling = moved && !record.desiredFirst ? announceConverge(session, record.service) : undefined;
  const { text: state, isOwn } = await stateAfter(session.record.desired, record, moved);
  const rollBackTo = settlement.rollBack && !overtaken ? record.previous : null;
  const consequence = overtaken
    ? 'a newer deployment has started'
    : rollBackTo !== null
      ? `rolling back to ${rollBackTo}`
      : state;
  const writing = session.record.deployments.update(stored, {
    status: settlement.outcome,
    exitCode: settlement.exitCode,
    settledAt: new Date(session.clock.now()).toISOString(),
    outcome: [settlement.text, await cancelling, consequence].filter(Boolean).join('; '),
    counts: settlement.counts,
    silent: settlement.silent,
    ...(settlement.forgotten.length > 0 && { forgotten: [...settlement.forgotten] }),
    tookMs: progress.tookMs(),
    results: resultsOf(record, progress),
    ...(rollBackTo === null ? {} : { rollBackTo }),
    ...(movesDesired(record) && isOwn && { setDesired: true }),
  });
  await Promise.allSettled([writing, telling]);
  return await writing;
}

/**
 * The change that removes the outcome from a record, for a deployment that continues: what an earlier publisher
 * recorded is not the outcome while it runs.
 */
export const UNSETTLED = {
  status: 'announced',
  exitCode: undefined,
  settledAt: undefined,
  outcome: undefined,
  counts: undefined,
  silent: undefined,
  tookMs: undefined,
  results: undefined,
} as const satisfies Partial<{ [K in keyof DeploymentRecord]: DeploymentRecord[K] | undefined }>;

/**
 * Who cancelled a deployment to all instances at once: its outcome depends on the reports only, so the settlement does
 * not say it. For a rolling deployment the settlement says it.
 */
async function cancelText(
  session: Session,
  stored: StoredDeployment,
  { outcome, counts }: Settlement,
): Promise<string | undefined> {
  if (stored.value.rolling !== undefined) return undefined;
  // A missing decision, or one that cannot be read, must not prevent the outcome.
  const by = await cancelOf(session, stored).catch(() => undefined);
  if (by === undefined) return undefined;
  const isLate = outcome === 'succeeded' || !counts.cancelled;
  return isLate ? `too late for the cancel by ${by}` : `cancelled by ${by}`;
}

/**
 * Whether the deployment sets the desired state. A restart does not, because it changes no version. A deployment to
 * some instances does not, because it says nothing about the other instances.
 */
export const movesDesired = ({ action, targets }: Pick<DeploymentRecord, 'action' | 'targets'>) =>
  action !== 'restart' && targets === undefined;

/** Sets the desired state. Returns false when a newer deployment has set it. */
async function moveDesired(session: Session, record: DeploymentRecord): Promise<boolean> {
  try {
    await writeDesired(session, record);
  } catch (error) {
    if (isCode(error, 'FENCED')) return false;
    throw error;
  }
  return true;
}

/**
 * What the desired state is now: a text, and whether this deployment set it. It is read from S3 and not taken from the
 * record, because a
 * publisher may have died before it wrote the desired state.
 */
async function stateAfter(
  desired: DesiredStates,
  record: DeploymentRecord,
  moved: boolean,
): Promise<{ text: string; isOwn: boolean }> {
  if (moved) return { text: `the desired state is ${record.version}`, isOwn: true };
  try {
    const current = (await desired.read(record.service))?.value;
    if (current === undefined) return { text: 'no desired state is set', isOwn: false };
    const isOwn = current.deployment === record.deployment;
    return { text: `the desired state ${isOwn ? 'is' : 'stays'} ${current.version}`, isOwn };
  } catch (error) {
    return { text: `the desired state cannot be read: ${messageOf(error)}`, isOwn: false };
  }
}

/** How many instances have their error and their warning in the record. The reports have them all. */
const TEXTS = 100;

/** The record is signed and read as one document, so its texts are bounded: no `detail`, and the first `TEXTS` only. */
function resultsOf(
  record: DeploymentRecord,
  { reports, heardMs }: { reports: ReadonlyMap<string, Report>; heardMs?: ReadonlyMap<string, number> },
): NonNullable<DeploymentRecord['results']> {
  const announcedAt = Date.parse(record.announcedAt);
  let texts = 0;
  const results = [...reports.values()].map((report) => {
    const { error, warning, state, version } = report;
    const { detail: _detail, ...short } = error ?? { code: '', message: '' };
    if (error ?? warning) texts += 1;
    const said = texts <= TEXTS && {
      ...(error && { error: short }),
      ...(warning !== undefined && { warning }),
    };
    const tookMs = Math.max(0, Date.parse(report.at) - announcedAt);
    const heard = heardMs?.get(report.instance);
    const result = { state, version, tookMs, ...(heard !== undefined && { heardMs: heard }), ...said };
    return [report.instance, result] as const;
  });
  return Object.fromEntries(results);
}

/**
 * The settlement of a deployment whose publisher has stopped, from the reports received so far, without waiting.
 * `cancelledBy` counts for a rolling deployment only.
 */
export function settleNow(
  record: DeploymentRecord,
  reports: ReadonlyMap<string, Report>,
  cancelledBy?: string,
): Settlement {
  const { rolling } = record;
  return rolling === undefined
    ? settleFinally(record, reports)
    : settleUndriven({ ...record, rolling }, reports, cancelledBy);
}

/** Whether its outcome is final: a deployment that timed out can still get another outcome. */
export const isFinal = (record: DeploymentRecord) =>
  record.status === 'succeeded' || record.status === 'failed' || record.status === 'cancelled';

/** Whether a rollback must follow, and the record does not name a rollback yet. */
export const isRollBackDue = (record: DeploymentRecord) =>
  record.rollBackTo !== undefined && record.rolledBackBy === undefined;

/** Whether the rollback of `record` is due or has not ended. `newest` is the newest deployment of the service. */
export function isRollBackLeft(record: DeploymentRecord, newest: DeploymentRecord): boolean {
  if (newest.deployment === record.deployment) return isRollBackDue(record);
  if (record.rollBackTo === undefined || newest.rollbackOf !== record.deployment) return false;
  // A rollback that could not be announced has the status `failed`, but no `settledAt`: it must be repeated.
  return !isFinal(newest) || newest.settledAt === undefined;
}

/** The event of a settled record; `shown` when this command did not settle it. */
export function settledEvent(clock: Output['clock'], record: DeploymentRecord, shown?: true): PublisherEvent {
  return {
    type: 'settled',
    at: clock.now(),
    deployment: record.deployment,
    outcome: record.status === 'announced' ? 'timed-out' : record.status,
    exitCode: record.exitCode ?? 3,
    counts: record.counts ?? {},
    silent: record.silent ?? [],
    ...(record.forgotten && { forgotten: record.forgotten }),
    text: record.outcome ?? 'not settled',
    hint: hintOf(record),
    tookMs: record.tookMs ?? 0,
    shown,
  };
}

/**
 * Emits the outcome of what was asked once more, after its rollback has ended: it is the last line of the command.
 * `rollback` is the record of the rollback as it ended; undefined when its outcome is not known.
 */
export function emitAfterRollback(
  { emit, clock }: Output,
  asked: DeploymentRecord,
  rollback: DeploymentRecord | undefined,
): void {
  const how = rollback === undefined ? 'the rollback is not settled' : `the rollback ${rollback.status}`;
  const event = settledEvent(clock, asked, true);
  if (event.type !== 'settled') return;
  emit({ ...event, text: `${event.text}; ${how}`, afterRollback: true });
}

/** The hint of the first failed instance that has one; else, if instances have not finished in time, their setting. */
function hintOf({ results = {}, status, deployment, env }: DeploymentRecord): string | undefined {
  const instances = Object.keys(results).sort();
  const given = instances
    .map((instance) => results[instance]?.error?.hint)
    .find((hint) => hint !== undefined);
  if (given !== undefined || status !== 'timed-out') return given;
  const isUnfinished = Object.values(results).some(({ state }) => !isEnding(state));
  return isUnfinished
    ? `a longer --timeout waits longer; trigger-deploy watch ${deployment} --env ${env} follows it further`
    : undefined;
}

/** The `settled` event for a settlement that is not written to the record. `why` says why it is not. */
export function unsettledEvent(
  clock: Output['clock'],
  { deployment }: DeploymentRecord,
  { outcome, exitCode, counts, silent, forgotten, text }: Settlement,
  why: string,
): PublisherEvent {
  return {
    ...{ type: 'settled', at: clock.now(), deployment, outcome, exitCode, counts, silent },
    ...(forgotten.length > 0 && { forgotten }),
    ...{ text: `${text}; ${why}`, tookMs: 0, shown: true },
  };
}

/** Time from the announcement to the last ending in `reports`, ms, by the times in the reports; 0 without an ending. */
export function lastEndingMs(record: DeploymentRecord, reports: Iterable<Report>): number {
  const announcedAt = Date.parse(record.announcedAt);
  const endings = [...reports].filter((report) => isEnding(report.state));
  return Math.max(0, ...endings.map((report) => Date.parse(report.at) - announcedAt));
}
