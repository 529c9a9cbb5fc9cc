import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { type ExitCode, note } from '../events.ts';
import type { Change } from '../plan/change.ts';
import { type PolicyOptions, policyOf } from '../plan/policy.ts';
import { whenCancelled } from '../plan/rollback-policy.ts';
import { rollbackTarget, strayVersion, versionBefore } from '../plan/rollback-target.ts';
import { acquire } from '../queue/acquire.ts';
import type { QueueMode } from '../queue/wait.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { beginReads } from '../record/reads.ts';
import { readBaseline } from '../rollout/baseline.ts';
import { begin, createRecord } from '../rollout/create-record.ts';
import { drive } from '../rollout/drive.ts';
import type { Driving } from '../rollout/driving.ts';
import { refuseIfLost, warnIfLost } from '../rollout/lost-desired.ts';
import { nothingToRollBackTo } from '../rollout/obstacles.ts';
import { isFinal } from '../rollout/record-outcome.ts';
import { checkRollbackTo } from '../rollout/requires.ts';
import { assertFiles } from '../rollout/trusted-order.ts';
import { refuseIfDetached, type Session } from '../session.ts';

export interface RollbackOptions
  extends Pick<Driving, 'wait' | 'detach'>,
    Pick<PolicyOptions, 'timeoutMs' | 'allowMissing'> {
  service: string;
  /** The version to roll back to; when left out, `rollbackTarget` decides. */
  to?: string | undefined;
  reason?: string | undefined;
  /** `--queue`, `--jump`: wait while other publishers change the service. */
  queueMode?: QueueMode;
  /** The sequence of the desired state that this command may change; 0: none. Any when left out. */
  ifSequence?: number | undefined;
  /** Whether to roll back even while the service is paused; `reason` is then required. */
  despitePause?: boolean | undefined;
}

/** How many past deployments are searched for a version to roll back to. */
const HISTORY = 50;

/**
 * `trigger-deploy rollback`: deploys the previous version, or the version `to`, to all instances at once. The desired
 * state is written before the announcement, so that an instance that misses the announcement converges to that version.
 * Without `to`, a desired state that another writer put back is refused, because it says what to roll back to.
 * @throws NOTHING_TO_ROLL_BACK_TO; RECORD_DAMAGED; NOT_PROVEN when the version `to` never succeeded here, and a deployment of it would
 * be refused or would need a confirmation; and as `deploy`.
 */
export async function rollback(session: Session, options: RollbackOptions): Promise<ExitCode> {
  const { service, detach } = options;
  await session.signer();
  if (options.to !== undefined) await session.record.versions.readManifest(service, options.to);
  const { to: version, reason, queueMode, despitePause, ifSequence } = options;
  const ticket = await acquire(session, {
    ...{ service, version, command: 'rollback', reason, queueMode, despitePause, ifSequence, detach },
  }).catch(async (error: unknown) => {
    throw (await lockedByRollout(session, service, error)) ?? error;
  });
  try {
    const { change, before } = await planned(session, options, ticket.lock.sequence);
    refuseIfDetached(detach);
    const policy = policyOf({ ...options, maxFailures: 0, onFailure: 'stop' }, 0);
    const created = await createRecord(session, ticket, change, { policy, desiredFirst: true });
    await begin(session, created, { previous: before });
    return await drive(session, ticket.lock, created.stored, options);
  } finally {
    await ticket.lock.release();
  }
}

/**
 * The LOCKED error with a hint to cancel, if a rolling deployment holds the lock: its publisher holds the lock until
 * the deployment ends. Undefined in all other cases.
 */
async function lockedByRollout(
  session: Session,
  service: string,
  error: unknown,
): Promise<TriggerDeployError | undefined> {
  if (!isCode(error, 'LOCKED')) return undefined;
  const { locks, deployments } = session.record;
  const [{ owner }, newest] = await Promise.all([locks.look(service), deployments.newest(service)]);
  const current = newest?.value;
  if (!current?.rolling || isFinal(current) || owner?.deployment !== current.deployment) return undefined;
  const cancel = `trigger-deploy cancel ${current.deployment} --env ${current.env} cancels it: ${whenCancelled(current)}`;
  return new TriggerDeployError('LOCKED', error.message, { cause: error, hint: `${cancel}; ${error.hint}` });
}

interface Planned {
  change: Change;
  /** The version that a second rollback, after this one, would return to. */
  before: string | undefined;
}

async function planned(
  session: Session,
  { service, to, reason, ifSequence }: RollbackOptions,
  lockSequence: number,
): Promise<Planned> {
  const { deployments, versions } = session.record;
  const reads = beginReads(session.record, service);
  const baseline = await readBaseline(session, service, lockSequence, reads, ifSequence);
  const { last, leftover, records, lost } = baseline;
  const history = await deployments.list(service, HISTORY);
  if (to === undefined && leftover && last?.action === 'rollback') {
    await assertFiles(session, last);
    return { change: repeated(session, last, reason), before: versionBefore(last.version, history) };
  }
  if (to === undefined) await refuseIfLost(session, baseline.desired, records, { service, ask: true });
  warnIfLost(session, baseline.desired, lost);
  // One that was put back says nothing about what runs now, nor about what is proven.
  const desired = lost === undefined ? baseline.desired : undefined;
  const version = to ?? rollbackTarget(desired, history);
  if (version === undefined) throw nothingToRollBackTo(session.env.name, service, desired?.version);
  const manifest = await versions.readManifest(service, version);
  if (to !== undefined) await checkRollbackTo(session, manifest, desired);
  const { artifacts } = manifest;
  const stray = strayVersion(desired, last);
  const previous = stray ?? lost?.version ?? desired?.version ?? null;
  const rollbackOf = stray === undefined ? desired?.deployment : last?.deployment;
  return {
    change: { service, version, artifacts, action: 'rollback', previous, reason, rollbackOf },
    before: versionBefore(version, history),
  };
}

/**
 * Repeats the rollback `last`, because its publisher did not settle it. `previous` of the desired state cannot be used:
 * if `last` wrote the desired state already, it is one version too far back.
 */
function repeated(session: Session, last: DeploymentRecord, reason: string | undefined): Change {
  const { service, version, artifacts, previous, rollbackOf, deployment } = last;
  const text = `the publisher of the last rollback (to ${version}, ${deployment}) stopped before it ended, so this command repeats that rollback; to roll back one more version, run rollback again afterwards`;
  note(session, text);
  return { service, version, artifacts, action: 'rollback', previous, reason, rollbackOf };
}
