import { TriggerDeployError } from '../../shared/errors.ts';
import { gateBefore } from '../plan/waves.ts';
import { type DecisionAnswer, decide, readDecisions } from '../rollout/decisions.ts';
import type { Session } from '../session.ts';
import { refuseIfOver } from './guards.ts';

/**
 * `trigger-deploy confirm ID`: confirms a rolling deployment that waits for confirmation, or will wait for it. The
 * publisher that drives the deployment continues within seconds.
 * @throws DEPLOYMENT_NOT_FOUND; NOT_UNDER_WAY when the deployment has ended, was cancelled, or needs no confirmation.
 */
export async function confirm(
  session: Session,
  options: { deployment: string; reason?: string | undefined },
): Promise<DecisionAnswer> {
  const { deployments, locks } = session.record;
  const service = await deployments.find(options.deployment);
  const stored = await deployments.read(service, options.deployment);
  const record = stored.value;
  refuseIfOver(record);
  const { rolling } = record;
  if (rolling === undefined || gateBefore(rolling) === undefined || rolling.confirmed !== undefined) {
    throw new TriggerDeployError('NOT_UNDER_WAY', `${record.deployment} is not waiting for confirmation`, {
      hint: `trigger-deploy show ${record.deployment} --env ${record.env}`,
    });
  }
  const { cancel } = await readDecisions(session, stored);
  if (cancel) {
    throw new TriggerDeployError('NOT_UNDER_WAY', `${record.deployment} was cancelled by ${cancel.by}`, {
      hint: `trigger-deploy watch ${record.deployment} --env ${record.env}`,
    });
  }
  const decision = await decide(session, stored, 'confirm', options.reason);
  const { state, owner } = await locks.look(service);
  const driven = state === 'held' && owner?.deployment === record.deployment;
  const text = driven
    ? `${owner.who} continues it`
    : `its publisher has stopped; to continue: trigger-deploy resume ${record.deployment} --env ${record.env}`;
  const { by, at } = decision;
  return { type: 'decided', decision: 'confirm', deployment: record, by, at, text };
}
