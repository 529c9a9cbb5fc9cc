import { TriggerDeployError } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import type { ExitCode } from '../events.ts';
import type { Change } from '../rollout.ts';
import type { Session } from '../session.ts';
import { standingBefore } from '../standing.ts';
import { type DeployOptions, goOut, takeLock } from './deploy.ts';

/**
 * `trigger-deploy restart SERVICE`: what the desired state says is started again, drained, checked and in waves as a
 * deployment is. No version changes, and the desired state stays.
 * @throws SERVICE_NOT_FOUND when nothing is deployed, and as `deploy`.
 */
export async function restart(session: Session, options: Omit<DeployOptions, 'version'>): Promise<ExitCode> {
  const { service, detach, reason } = options;
  await session.signer();
  // An id is dated by AWS's clock, which the first answer tells.
  await session.ledger.locks.look(service);
  const deployment = newUlid(session.clock.now());
  const lock = await takeLock(session, { service, command: 'restart', deployment, detach });
  try {
    const { desired } = await standingBefore(session, service);
    if (desired === undefined) {
      throw new TriggerDeployError('SERVICE_NOT_FOUND', `${service} was never deployed here`, {
        hint: `trigger-deploy ${service} VERSION --env ${session.env.name}`,
      });
    }
    const { version, artifacts } = desired;
    const ticket = { deployment, sequence: lock.sequence, lock };
    const change: Change = { service, version, artifacts, action: 'restart', previous: version, reason };
    return await goOut(session, ticket, change, options);
  } finally {
    await lock.release();
  }
}
