import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { type ExitCode, note } from '../events.ts';
import { whenCalledOff } from '../plan/rollback-policy.ts';
import { rollbackTarget, strayVersion, versionBefore } from '../plan/rollback-target.ts';
import { acquire, refuseIfDetached } from '../queue/acquire.ts';
import type { QueueMode } from '../queue/wait.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { type Change, rollOut } from '../rollout/all-at-once.ts';
import { standingBefore } from '../rollout/baseline.ts';
import { isFinal } from '../rollout/record-outcome.ts';
import { checkReturn } from '../rollout/requires.ts';
import type { Session } from '../session.ts';
import { conductOf } from './deploy.ts';

export interface RollbackOptions {
  service: string;
  /** The version to return to; when left out, `rollbackTarget` decides. */
  to?: string | undefined;
  wait: boolean;
  timeoutMs: number;
  reason?: string | undefined;
  /** `--queue`, `--jump`: wait for those that are before. */
  queueMode?: QueueMode;
  /** Though it is paused; needs a reason. */
  despitePause?: boolean | undefined;
  allowMissing: number;
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/** How far back a target is looked for, deployments. */
const HISTORY = 50;

/**
 * `trigger-deploy rollback`: a new deployment of an older version. The desired state says so before anything
 * is announced, so that an instance that misses the announcement comes to it as well.
 * @throws NOTHING_TO_ROLL_BACK_TO; NOT_PROVEN for a version that never ran here, where a deployment of it would be refused or
 * wait for a person; and as `deploy`.
 */
export async function rollback(session: Session, options: RollbackOptions): Promise<ExitCode> {
  const { service, detach } = options;
  await session.signer();
  if (options.to !== undefined) await session.record.versions.readManifest(service, options.to);
  const { to: version, reason, queueMode, despitePause } = options;
  const ticket = await acquire(session, {
    ...{ service, version, command: 'rollback', reason, queueMode, despitePause, detach },
  }).catch(async (error: unknown) => {
    throw (await lockedByRollout(session, service, error)) ?? error;
  });
  try {
    const change = await planned(session, options);
    refuseIfDetached(detach);
    const conduct = conductOf({ ...options, onFailure: 'stop' }, 0, true);
    return await rollOut(session, ticket, change, conduct);
  } finally {
    await ticket.lock.release();
  }
}

/** While a rollout is driven its lock is held until its end: it is called off, and goes back by itself. */
async function lockedByRollout(
  session: Session,
  service: string,
  error: unknown,
): Promise<TriggerDeployError | undefined> {
  if (!isCode(error, 'LOCKED')) return undefined;
  const { locks, deployments } = session.record;
  const [{ owner }, newest] = await Promise.all([locks.look(service), deployments.newest(service)]);
  const under = newest?.value;
  if (!under?.rolling || isFinal(under) || owner?.deployment !== under.deployment) return undefined;
  const call = `trigger-deploy cancel ${under.deployment} --env ${under.env} calls it off: ${whenCalledOff(under)}`;
  return new TriggerDeployError('LOCKED', error.message, { cause: error, hint: `${call}; ${error.hint}` });
}

async function planned(session: Session, { service, to, reason }: RollbackOptions): Promise<Change> {
  const { deployments, versions } = session.record;
  const { desired, last, leftover } = await standingBefore(session, service);
  const history = await deployments.list(service, HISTORY);
  if (to === undefined && leftover && last?.action === 'rollback') {
    return repeated(session, last, versionBefore(last.version, history), reason);
  }
  const version = to ?? rollbackTarget(desired, history);
  if (version === undefined) throw nothingToReturnTo(service, desired?.version);
  const manifest = await versions.readManifest(service, version);
  if (to !== undefined) await checkReturn(session, manifest, desired);
  const { artifacts } = manifest;
  const stray = strayVersion(desired, last);
  return {
    service,
    version,
    artifacts,
    action: 'rollback',
    previous: stray ?? desired?.version ?? null,
    before: versionBefore(version, history),
    reason,
    rollbackOf: stray === undefined ? desired?.deployment : last?.deployment,
  };
}

/**
 * Whoever asked for a rollback that nobody settled, and asks again, wants to be where it was to go: not one version
 * further, which is where the desired state, if it was written, would lead.
 */
function repeated(
  session: Session,
  last: DeploymentRecord,
  before: string | undefined,
  reason: string | undefined,
): Change {
  const { service, version, artifacts, previous, rollbackOf, deployment } = last;
  const text = `repeating the rollback to ${version} (${deployment}), whose publisher did not see its end; another rollback goes further`;
  note(session, text);
  return { service, version, artifacts, action: 'rollback', previous, before, reason, rollbackOf };
}

function nothingToReturnTo(service: string, current: string | undefined): TriggerDeployError {
  const why =
    current === undefined ? 'was never deployed here' : `has no version before ${current} in its history`;
  return new TriggerDeployError('NOTHING_TO_ROLL_BACK_TO', `${service} ${why}`, {
    hint: `name one: trigger-deploy rollback ${service} --to VERSION`,
  });
}
