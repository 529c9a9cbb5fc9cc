import { isCode, messageOf } from '../../shared/errors.ts';
import type { Artifact } from '../../shared/manifest.ts';
import { newUlid } from '../../shared/names.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { type ExitCode, note } from '../events.ts';
import { announce, dates } from '../messaging/announce.ts';
import { openReplyQueue, type ReplyQueue } from '../messaging/reply-queue.ts';
import type { Ticket } from '../queue/ticket.ts';
import type { DeploymentRecord, Policy, Rolling } from '../record/deployment-schema.ts';
import type { StoredDeployment } from '../record/deployments.ts';
import type { Lock } from '../record/held-lock.ts';
import type { Session } from '../session.ts';
import { follow, openProgress } from './follow.ts';
import { isRollBackDue, movesDesired, recordOutcome, settledEvent, writeDesired } from './record-outcome.ts';

/** How often the record is read beside the reply queue, ms. */
const POLL_MS = 3000;
/** Ctrl-C leaves a deployment whose outcome this command does not know (DESIGN: "Exit codes"). */
export const DETACHED: ExitCode = 3;

/** What is to change. */
export interface Change {
  service: string;
  version: string;
  artifacts: readonly Artifact[];
  action: 'deploy' | 'rollback' | 'restart';
  /** What the desired state says; of a rollback, the version it leaves. */
  previous: string | null;
  /** Where a later rollback goes, when it is not to what the desired state said before. */
  before?: string | undefined;
  reason?: string | undefined;
  rollbackOf?: string | undefined;
  /** The environment that it was proven in. */
  promotedFrom?: string | undefined;
  /** Only these instances; the desired state stays. */
  targets?: readonly string[] | undefined;
}

/** How it is driven. */
export interface Conduct {
  policy: Policy;
  /** Follow it to its end; else it is only announced. */
  wait: boolean;
  /** Write the desired state before announcing: a `rollback`, and whatever is not waited for. */
  desiredFirst: boolean;
  /** Aborts with Ctrl-C: the deployment runs on. */
  detach: AbortSignal;
}

/**
 * Drives one deployment by strategy `all`, under the lock: record, announcement, every instance to its end,
 * verdict, desired state, and where the verdict asks for it the rollback, as a deployment of its own.
 *
 * At any point a publisher may die: the record then says `announced`, and a `watch` or the next deploy settles.
 * @throws FENCED when the lock was lost, AWS_*, TOPIC_NOT_FOUND.
 */
export async function rollOut(
  session: Session,
  ticket: Ticket,
  change: Change,
  conduct: Conduct,
): Promise<ExitCode> {
  const { stored, instances } = await writeRecord(session, ticket, change, conduct);
  emitStarted(session, stored.value, instances);
  return await drive(session, ticket, stored, change, conduct);
}

async function drive(
  session: Session,
  ticket: Ticket,
  stored: StoredDeployment,
  change: Pick<Change, 'before'>,
  conduct: Conduct,
): Promise<ExitCode> {
  const replies = await recordingFailure(session, stored, async () => {
    if (conduct.desiredFirst && movesDesired(stored.value))
      await writeDesired(session, stored.value, change.before);
    return conduct.wait ? await openReplyQueue(session) : undefined;
  });
  try {
    await recordingFailure(session, stored, () => send(session, ticket, stored.value, replies));
    if (replies === undefined) return leave(session, stored.value, 'announced, not waited for', 0);
    const began = session.clock.monotonic();
    return await followToEnd(session, ticket, stored, { replies, began, conduct });
  } finally {
    await replies?.close();
  }
}

interface Written {
  stored: StoredDeployment;
  instances: InstanceRecord[];
}

/** The record of a deployment that is about to begin; `rolling` where it goes in waves. */
export async function writeRecord(
  session: Session,
  ticket: Ticket,
  change: Change,
  conduct: Conduct,
  rolling?: Rolling,
): Promise<Written> {
  const { deployments } = session.record;
  const { targets } = change;
  const known = await deployments.instances(change.service);
  const instances = targets ? known.filter((one) => targets.includes(one.instance)) : known;
  const inWaves = rolling?.waves.flatMap((wave) => wave.instances);
  const { issuedAt, expiresAt } = dates(session, conduct.policy.timeoutMs);
  const stored = await deployments.create({
    v: 1,
    deployment: ticket.deployment,
    env: session.env.name,
    service: change.service,
    version: change.version,
    previous: change.previous,
    action: change.action,
    sequence: ticket.sequence,
    issuedBy: session.who,
    from: session.origin,
    reason: change.reason,
    artifacts: [...change.artifacts],
    expected: inWaves ?? [...(targets ?? instances.map((one) => one.instance))],
    announcedAt: issuedAt,
    expiresAt,
    strategy: rolling ? 'rolling' : 'all',
    rolling,
    targets: targets && [...targets],
    policy: conduct.policy,
    desiredFirst: conduct.desiredFirst,
    status: 'announced',
    rollbackOf: change.rollbackOf,
    promotedFrom: change.promotedFrom,
    ...ticket.about,
  });
  return { stored, instances };
}

/** Says what goes out, or went out, and to whom: those of `instances` that the record expects. */
export function emitStarted(
  session: Session,
  record: DeploymentRecord,
  instances: readonly InstanceRecord[],
  how?: 'resumed' | 'watched',
): void {
  const { deployment, env, service, version, previous, action, sequence, issuedBy, reason, strategy } =
    record;
  const at = Date.parse(record.announcedAt);
  const expected = instances.filter((one) => record.expected.includes(one.instance));
  const what = { deployment, env, service, version, previous, action, sequence, issuedBy, reason };
  session.emit({ type: 'started', at, ...what, strategy, how, expected });
}

async function send(
  session: Session,
  { lock }: Ticket,
  record: DeploymentRecord,
  replies: ReplyQueue | undefined,
): Promise<void> {
  const { deployment, service, version, sequence, action, artifacts, reason, targets } = record;
  const change = { deployment, service, version, sequence, action, artifacts, reason, targets };
  const dated = { issuedAt: record.announcedAt, expiresAt: record.expiresAt };
  lock.lost.throwIfAborted();
  await announce(session, { kind: 'deploy', ...change, replyTo: replies?.name }, dated);
}

/** One that surely did not go out is recorded as failed; without an answer of AWS only the reports can tell. */
async function recordingFailure<T>(
  session: Session,
  stored: StoredDeployment,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const surely = !isCode(error, 'AWS_UNREACHABLE');
    const outcome = `${surely ? 'not announced' : 'perhaps not announced'}: ${messageOf(error)}`;
    const change = surely ? ({ status: 'failed', exitCode: 1, outcome } as const) : { outcome };
    await session.record.deployments.update(stored, change).catch(() => undefined);
    throw error;
  }
}

interface Followed {
  replies: ReplyQueue;
  /** When it was announced, on the monotonic clock. */
  began: number;
  conduct: Conduct;
}

async function followToEnd(
  session: Session,
  ticket: Ticket,
  stored: StoredDeployment,
  { replies, began, conduct }: Followed,
): Promise<ExitCode> {
  const record = stored.value;
  const elapsed = () => session.clock.monotonic() - began;
  const progress = openProgress(session, record, elapsed);
  const settlement = await follow(session, {
    record,
    progress,
    replies,
    read: session.record.deployments.reportReader(record.service, record.deployment),
    pollMs: POLL_MS,
    elapsed,
    detach: conduct.detach,
    abort: AbortSignal.any([session.signal, ticket.lock.lost]),
  });
  if (settlement === undefined) return leave(session, record, 'detached, the deployment runs on', DETACHED);
  const settled = await recordOutcome(session, stored, settlement, progress);
  session.emit(settledEvent(session, settled.value));
  return await rollBackIfDue(session, ticket.lock, settled, conduct);
}

function leave(session: Session, record: DeploymentRecord, why: string, code: ExitCode): ExitCode {
  const text = `${why}: trigger-deploy watch ${record.deployment} --env ${record.env} follows it`;
  note(session, text);
  return code;
}

/**
 * What a settled record leaves to do: where it must be undone, a new deployment of the older version, with the
 * next sequence, to everyone the undone one was announced to, not only those that reported. Returns the exit
 * code of the deployment that was asked for, whatever becomes of its rollback.
 */
export async function rollBackIfDue(
  session: Session,
  lock: Lock,
  settled: StoredDeployment,
  conduct: Pick<Conduct, 'wait' | 'detach'>,
): Promise<ExitCode> {
  const undone = settled.value;
  const exitCode = undone.exitCode ?? 1;
  if (undone.rollBackTo === undefined || !isRollBackDue(undone)) return exitCode;
  const artifacts = await artifactsOf(session, undone.service, undone.rollBackTo);
  const deployment = newUlid(session.clock.now());
  const ticket = { deployment, sequence: await lock.next(deployment), lock };
  const change: Change = {
    service: undone.service,
    version: undone.rollBackTo,
    artifacts,
    action: 'rollback',
    previous: undone.version,
    reason: `${undone.version} (${undone.deployment}) failed`,
    rollbackOf: undone.deployment,
    targets: undone.targets,
  };
  const policy: Policy = { ...undone.policy, onFailure: 'stop' };
  const onwards: Conduct = { ...conduct, desiredFirst: true, policy };
  const { stored, instances } = await writeRecord(session, ticket, change, onwards);
  await session.record.deployments.update(settled, { rolledBackBy: deployment });
  emitStarted(session, stored.value, instances);
  await drive(session, ticket, stored, change, onwards);
  return exitCode;
}

/**
 * The rollback of `undone` that its publisher did not see the end of, or did not live to announce: all of it again,
 * under the lock and its own id, which to agents that have heard of it is a duplicate. Returns the exit code of the
 * deployment that was asked for.
 */
export async function repeatRollBack(
  session: Session,
  lock: Lock,
  undone: StoredDeployment,
  left: StoredDeployment,
  conduct: Pick<Conduct, 'wait' | 'detach'>,
): Promise<ExitCode> {
  const { deployments } = session.record;
  const { deployment, sequence, service, policy } = left.value;
  // For whoever looks at the lock; the sequence stays that of the rollback.
  await lock.next(deployment);
  if (undone.value.rolledBackBy === undefined) {
    await deployments.update(undone, { rolledBackBy: deployment });
  }
  const { issuedAt, expiresAt } = dates(session, policy.timeoutMs);
  const again = { announcedAt: issuedAt, expiresAt, status: 'announced', outcome: undefined } as const;
  const [stored, instances] = await Promise.all([
    deployments.update(left, again),
    deployments.instances(service),
  ]);
  emitStarted(session, stored.value, instances, 'resumed');
  await drive(
    session,
    { deployment, sequence, lock },
    stored,
    {},
    { ...conduct, desiredFirst: true, policy },
  );
  return undone.value.exitCode ?? 1;
}

/** From the desired state where it names that version, else from the manifest. */
async function artifactsOf(session: Session, service: string, version: string): Promise<readonly Artifact[]> {
  const stored = await session.record.desired.read(service);
  if (stored?.value.version === version) return stored.value.artifacts;
  return (await session.record.versions.readManifest(service, version)).artifacts;
}
