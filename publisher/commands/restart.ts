import { TriggerDeployError } from '../../shared/errors.ts';
import type { ExitCode } from '../events.ts';
import { acquire } from '../queue/acquire.ts';
import type { Change } from '../rollout/all-at-once.ts';
import { standingBefore } from '../rollout/baseline.ts';
import type { Session } from '../session.ts';
import { type DeployOptions, goOut } from './deploy.ts';

/**
 * `trigger-deploy restart SERVICE`: what the desired state says is started again, drained, checked and in waves as a
 * deployment is. No version changes, and the desired state stays.
 * @throws SERVICE_NOT_FOUND when nothing is deployed, and as `deploy`.
 */
export async function restart(session: Session, options: Omit<DeployOptions, 'version'>): Promise<ExitCode> {
  const { service, detach, reason, queueMode } = options;
  await session.signer();
  const ticket = await acquire(session, { service, command: 'restart', reason, queueMode, detach });
  try {
    const { desired } = await standingBefore(session, service);
    if (desired === undefined) {
      throw new TriggerDeployError('SERVICE_NOT_FOUND', `${service} was never deployed here`, {
        hint: `trigger-deploy ${service} VERSION --env ${session.env.name}`,
      });
    }
    const { version, artifacts } = desired;
    const change: Change = { service, version, artifacts, action: 'restart', previous: version, reason };
    return await goOut(session, ticket, change, options);
  } finally {
    await ticket.lock.release();
  }
}
