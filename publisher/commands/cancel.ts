import { TriggerDeployError } from '../../shared/errors.ts';
import { isEnding, ORDER_OF_STATES, type Report } from '../../shared/report.ts';
import { announce, dates } from '../announce.ts';
import { decide } from '../decisions.ts';
import { hasBegun } from '../rolling.ts';
import type { Session } from '../session.ts';
import { type DecisionAnswer, refuseIfOver } from './confirm.ts';

/** Agents keep a cancel that comes before its announcement; after that time nothing of it is on its way, ms. */
const LIFE_MS = 60 * 60 * 1000;

/**
 * `trigger-deploy cancel ID`: up to the switch. Agents that have not switched end `cancelled`; whoever drives the
 * deployment, or the next `watch`, settles it.
 * @throws DEPLOYMENT_NOT_FOUND; NOT_UNDER_WAY when it is over, or instances have switched: then `rollback` undoes it.
 */
export async function cancel(
  session: Session,
  options: { deployment: string; reason?: string | undefined },
): Promise<DecisionAnswer> {
  const { deployments, locks } = session.ledger;
  const service = await deployments.find(options.deployment);
  const { value: record } = await deployments.read(service, options.deployment);
  refuseIfOver(record);
  const reports = await deployments.reports(service, record.deployment);
  const switched = reports.filter(hasSwitched).map((report) => report.instance);
  if (switched.length > 0 || (record.rolling && hasBegun(record.rolling))) {
    const who = switched.length > 0 ? switched.slice(0, 5).join(', ') : 'the first wave';
    throw new TriggerDeployError(
      'NOT_UNDER_WAY',
      `too late to cancel ${record.deployment}: ${who} has switched`,
      {
        hint: `trigger-deploy rollback ${service} --env ${record.env} undoes it`,
      },
    );
  }
  const { by, at } = await decide(session, service, record.deployment, 'cancel', options.reason);
  const { deployment, sequence } = record;
  await announce(session, { kind: 'cancel', deployment, service, sequence }, dates(session, LIFE_MS));
  const { state, owner } = await locks.look(service);
  const driven = state === 'held' && owner?.deployment === deployment;
  const text = driven
    ? `${owner.who} settles it; instances that have switched by now finish, and are told`
    : `nobody drives it: trigger-deploy watch ${deployment} --env ${record.env} settles it`;
  return { type: 'decided', decision: 'cancel', deployment: record, by, at, text };
}

const hasSwitched = ({ state }: Report) =>
  state === 'succeeded' ||
  state === 'broken' ||
  (!isEnding(state) && ORDER_OF_STATES[state] >= ORDER_OF_STATES.switching);
