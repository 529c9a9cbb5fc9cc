import type { ExitCode } from '../events.ts';
import { acquireLock } from '../rollout/acquire-lock.ts';
import { emitStarted } from '../rollout/create-record.ts';
import { drive } from '../rollout/drive.ts';
import type { Driving } from '../rollout/driving.ts';
import { needsVerify, withoutOpenChecks } from '../rollout/next-check.ts';
import { isRollBackLeft, UNSETTLED } from '../rollout/record-outcome.ts';
import { refuseIfUnverifiable } from '../rollout/verify-run.ts';
import { watchDeployment } from '../rollout/watch.ts';
import type { Session } from '../session.ts';
import { refuseIfOutdated, refuseIfOver, refuseIfOvertaken } from './guards.ts';

export interface ResumeOptions extends Pick<Driving, 'gate' | 'detach'> {
  deployment: string;
  /** How long each wave may take from now on, ms; unchanged when left out. */
  timeoutMs?: number | undefined;
  /** How many instances may be missing from now on; unchanged when left out. */
  allowMissing?: number | undefined;
}

/**
 * `trigger-deploy resume ID`: continues a rolling deployment whose publisher stopped, from its record, on any machine.
 * A deployment to all instances at once is only watched, and settled. If the deployment failed and its rollback has not
 * ended, the rollback is continued.
 * @throws LOCKED while a publisher drives the deployment; NOT_UNDER_WAY when the deployment has ended, or when a newer
 * deployment has started; CONFIG_INVALID when it demands `verify`, which this machine cannot run; RECORD_DAMAGED,
 * ARTIFACT_DIGEST_MISMATCH.
 */
export async function resume(session: Session, options: ResumeOptions): Promise<ExitCode> {
  const { deployments } = session.record;
  const { deployment, allowMissing, gate, detach } = options;
  const service = await deployments.find(deployment);
  const [found, newest] = await Promise.all([
    deployments.read(service, deployment),
    deployments.newest(service),
  ]);
  const timeoutMs = options.timeoutMs ?? found.value.policy.timeoutMs;
  const rollBackLeft = newest !== undefined && isRollBackLeft(found.value, newest.value);
  if (!rollBackLeft) refuseIfOver(found.value);
  if (rollBackLeft || found.value.rolling === undefined) {
    return await watchDeployment(session, { deployment, timeoutMs, detach });
  }
  await session.signer();
  const { rolling } = found.value;
  if (needsVerify({ ...found.value, rolling })) await refuseIfUnverifiable(session, found.value);
  const lock = await acquireLock(session, { service, command: 'resume', deployment, detach });
  try {
    const [stored, instances] = await Promise.all([
      deployments.read(service, deployment),
      deployments.instances(service),
    ]);
    refuseIfOver(stored.value);
    await refuseIfOvertaken(session, stored.value);
    await refuseIfOutdated(session, stored.value, lock.sequence);
    const before = stored.value.policy;
    const policy = { ...before, timeoutMs, allowMissing: allowMissing ?? before.allowMissing };
    const checked = withoutOpenChecks(stored.value.checked);
    const who = { resumedBy: session.who, resumedVia: session.origin.via };
    const change = { ...UNSETTLED, policy, ...who, ...(checked && { checked }) };
    const resumed = await deployments.update(stored, change);
    emitStarted(session, resumed.value, instances, 'resumed');
    return await drive(session, lock, resumed, { wait: true, detach, gate });
  } finally {
    await lock.release();
  }
}
