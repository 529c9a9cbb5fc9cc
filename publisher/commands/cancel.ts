import { LONGEST_EXPIRY_MS } from '../../shared/announcement.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { announce, validity } from '../messaging/announce.ts';
import { whenCancelled } from '../plan/rollback-policy.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { cancelAnnouncement } from '../rollout/announcements.ts';
import { hasSwitched, resultOfWaves, resultOnInstances } from '../rollout/cancel-result.ts';
import { type DecisionAnswer, decide } from '../rollout/decisions.ts';
import { named } from '../rollout/settle.ts';
import type { Session } from '../session.ts';
import { refuseIfOver, refuseIfOvertaken } from './guards.ts';

/**
 * `trigger-deploy cancel ID`: cancels a deployment. A deployment to all instances at once can be cancelled until the
 * first instance switches; its outcome depends on its reports. A rolling deployment can be cancelled until it ends; its
 * outcome is `cancelled`, and switched instances roll back as after a failure. The publisher that drives the
 * deployment settles it, or the next `watch` does. The answer waits some seconds, and says what is known then.
 * @throws DEPLOYMENT_NOT_FOUND; NOT_UNDER_WAY when the deployment has ended; when it goes to all instances at once and
 * one has switched (`rollback` then undoes it); when it is rolling and a newer deployment has started.
 */
export async function cancel(
  session: Session,
  options: { deployment: string; reason?: string | undefined },
): Promise<DecisionAnswer> {
  const { deployments, locks } = session.record;
  const service = await deployments.find(options.deployment);
  const stored = await deployments.read(service, options.deployment);
  const record = stored.value;
  refuseIfOver(record);
  const { deployment, rolling } = record;
  if (rolling === undefined) await refuseIfSwitched(session, record);
  else await refuseIfOvertaken(session, record);
  const { by, at } = await decide(session, stored, 'cancel', options.reason);
  // A rolling deployment may end before its publisher reads the decision, so the publisher that settles it as cancelled
  // announces the cancel.
  if (rolling === undefined) {
    // As long as any announcement is valid: agents keep a cancel that arrives before its deployment.
    await announce(session, cancelAnnouncement(record), validity(session.clock, LONGEST_EXPIRY_MS));
  }
  const answer = { type: 'decided', decision: 'cancel', deployment: record, by, at } as const;
  if (rolling === undefined) return { ...answer, ...(await resultOnInstances(session, record)) };
  const { state, owner } = await locks.look(service);
  const driven = state === 'held' && owner?.deployment === deployment;
  const then = whenCancelled(record);
  if (!driven) {
    const settles = `its publisher has stopped: trigger-deploy watch ${deployment} --env ${record.env} settles it`;
    return { ...answer, text: `${settles}; ${then}` };
  }
  const settled = await resultOfWaves(session, record);
  return {
    ...answer,
    ...(settled ?? { result: 'unknown', text: `${owner.who} has not settled it yet; ${then}` }),
  };
}

async function refuseIfSwitched(session: Session, { service, deployment, env }: DeploymentRecord) {
  const reports = await session.record.deployments.reports(service, deployment);
  const switched = reports.filter(({ state }) => hasSwitched(state)).map((report) => report.instance);
  if (switched.length === 0) return;
  throw new TriggerDeployError(
    'NOT_UNDER_WAY',
    `too late to cancel ${deployment}: ${named(switched)} switched already`,
    { hint: `trigger-deploy rollback ${service} --env ${env} undoes it` },
  );
}
