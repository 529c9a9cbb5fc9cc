import type { ExitCode } from '../events.ts';
import { acquireLock } from '../queue/acquire.ts';
import { emitStarted } from '../rollout/all-at-once.ts';
import { isRollBackLeft } from '../rollout/record-outcome.ts';
import { driveWaves, type WavesConduct } from '../rollout/waves.ts';
import type { Session } from '../session.ts';
import { refuseIfOver, refuseIfOvertaken } from './guards.ts';
import { watch } from './watch.ts';

export interface ResumeOptions {
  deployment: string;
  /** How long a wave may take from now on; as it was, when left out. */
  timeoutMs?: number | undefined;
  /** How many may be missing from now on; as it was, when left out. */
  allowMissing?: number | undefined;
  ask?: WavesConduct['ask'];
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/**
 * `trigger-deploy resume ID`: goes on with a deployment in waves, from the record, on whatever machine. One that goes
 * to everybody at once needs no driving: it is watched, and settled. Of one that failed the rollback is gone on with.
 * @throws LOCKED while somebody drives it; NOT_UNDER_WAY when it is over, or a newer deployment has begun.
 */
export async function resume(session: Session, asked: ResumeOptions): Promise<ExitCode> {
  const { deployments } = session.record;
  const { deployment, detach } = asked;
  const service = await deployments.find(deployment);
  const [found, last] = await Promise.all([
    deployments.read(service, deployment),
    deployments.newest(service),
  ]);
  const options = { ...asked, timeoutMs: asked.timeoutMs ?? found.value.policy.timeoutMs };
  if (last && isRollBackLeft(found.value, last.value)) return await watch(session, options);
  refuseIfOver(found.value);
  if (found.value.rolling === undefined) return await watch(session, options);
  await session.signer();
  const lock = await acquireLock(session, { service, command: 'resume', deployment, detach });
  try {
    const [stored, instances] = await Promise.all([
      deployments.read(service, deployment),
      deployments.instances(service),
    ]);
    refuseIfOver(stored.value);
    await refuseIfOvertaken(session, stored.value);
    const policy = {
      ...stored.value.policy,
      timeoutMs: options.timeoutMs,
      allowMissing: options.allowMissing ?? stored.value.policy.allowMissing,
    };
    const again = await deployments.update(stored, { policy, status: 'announced' });
    emitStarted(session, again.value, instances, 'resumed');
    return await driveWaves(session, lock, again, { policy, detach, ask: options.ask });
  } finally {
    await lock.release();
  }
}
