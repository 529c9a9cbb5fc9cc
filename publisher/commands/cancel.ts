import { TriggerDeployError } from '../../shared/errors.ts';
import { isEnding, ORDER_OF_STATES, type Report } from '../../shared/report.ts';
import { announce, dates } from '../messaging/announce.ts';
import { whenCalledOff } from '../plan/rollback-policy.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { type DecisionAnswer, decide } from '../rollout/decisions.ts';
import type { Session } from '../session.ts';
import { refuseIfOver, refuseIfOvertaken } from './guards.ts';

/** Agents keep a cancel that comes before its announcement; after that time nothing of it is on its way, ms. */
const LIFE_MS = 60 * 60 * 1000;

/**
 * `trigger-deploy cancel ID`: what goes to everybody at once up to the switch, a rollout in waves as long as it is under
 * way. Whoever drives it, or the next `watch`, settles it `cancelled`; in waves, what has switched goes back as it
 * would after a failure.
 * @throws DEPLOYMENT_NOT_FOUND; NOT_UNDER_WAY when it is over, or all are told to switch and one has: then `rollback` undoes it.
 */
export async function cancel(
  session: Session,
  options: { deployment: string; reason?: string | undefined },
): Promise<DecisionAnswer> {
  const { deployments, locks } = session.record;
  const service = await deployments.find(options.deployment);
  const { value: record } = await deployments.read(service, options.deployment);
  refuseIfOver(record);
  const { deployment, sequence, rolling } = record;
  if (rolling === undefined) await refuseIfSwitched(session, record);
  else await refuseIfOvertaken(session, record);
  const { by, at } = await decide(session, service, deployment, 'cancel', options.reason);
  // In waves whoever settles it lets go of those that stand prepared: it may be over before it is read.
  if (rolling === undefined) {
    await announce(session, { kind: 'cancel', deployment, service, sequence }, dates(session, LIFE_MS));
  }
  const { state, owner } = await locks.look(service);
  const driven = state === 'held' && owner?.deployment === deployment;
  const settles = driven
    ? `${owner.who} settles it`
    : `nobody drives it: trigger-deploy watch ${deployment} --env ${record.env} settles it`;
  const then = rolling ? whenCalledOff(record) : 'instances that have switched by now finish, and are told';
  return { type: 'decided', decision: 'cancel', deployment: record, by, at, text: `${settles}; ${then}` };
}

async function refuseIfSwitched(session: Session, { service, deployment, env }: DeploymentRecord) {
  const reports = await session.record.deployments.reports(service, deployment);
  const switched = reports.filter(hasSwitched).map((report) => report.instance);
  if (switched.length === 0) return;
  throw new TriggerDeployError(
    'NOT_UNDER_WAY',
    `too late to cancel ${deployment}: ${switched.slice(0, 5).join(', ')} has switched`,
    { hint: `trigger-deploy rollback ${service} --env ${env} undoes it` },
  );
}

const hasSwitched = ({ state }: Report) =>
  state === 'succeeded' ||
  state === 'broken' ||
  (!isEnding(state) && ORDER_OF_STATES[state] >= ORDER_OF_STATES.switching);
