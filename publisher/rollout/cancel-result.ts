import type { Report } from '../../shared/report.ts';
import { isEnding, ORDER_OF_STATES, type State } from '../../shared/states.ts';
import { rollCall } from '../messaging/roll-call.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';
import type { DecisionAnswer } from './decisions.ts';
import { isFinal } from './record-outcome.ts';
import { named } from './settle.ts';

/** What became of a cancel, as far as it is known within seconds: an answer promises nothing else. */

/** How long the result is waited for, ms, and the pause between two looks. */
const WAIT_MS = 15_000;
const POLL_MS = 500;
/** How long a roll call waits for answers, ms. */
const ANSWER_MS = 1000;

export interface CancelResult {
  result: NonNullable<DecisionAnswer['result']>;
  /** The state of each instance as it is known. */
  instances: Record<string, State>;
  text: string;
}

/** The result of a cancel of a deployment to all instances at once, by their reports and a roll call. @throws AWS_*. */
export async function resultOnInstances(session: Session, record: DeploymentRecord): Promise<CancelResult> {
  const { clock } = session;
  const until = clock.monotonic() + WAIT_MS;
  for (;;) {
    const states = await statesOf(session, record);
    const all = [...new Set([...record.expected, ...states.keys()])].sort();
    const open = all.filter((instance) => !isKnown(states.get(instance)));
    if (open.length === 0 || clock.monotonic() >= until) return resultOf(record, all, states);
    await clock.sleep(POLL_MS, session.signal);
  }
}

/** The state of each instance: by its report once it has ended, else by its answer to a roll call. */
async function statesOf(session: Session, record: DeploymentRecord): Promise<Map<string, State>> {
  const { service, deployment, expected } = record;
  const reports = await session.record.deployments.reports(service, deployment);
  const states = new Map(reports.map(({ instance, state }: Report): [string, State] => [instance, state]));
  const known = expected.filter((instance) => !isKnown(states.get(instance)));
  if (known.length === 0) return states;
  for (const { instance, services } of await rollCall(session, { service, known, waitMs: ANSWER_MS })) {
    const here = services.find((one) => one.service === service && one.deployment === deployment);
    const reported = states.get(instance);
    if (here?.state === undefined || (reported !== undefined && isEnding(reported))) continue;
    // An instance record has the state of the last deployment; only a state on the way is certainly of this one.
    if (!isEnding(here.state)) states.set(instance, here.state);
  }
  return states;
}

/** Whether a cancel can no longer change what the instance does. */
const isKnown = (state: State | undefined) => state !== undefined && (isEnding(state) || hasSwitched(state));

/** Whether the instance runs the version, or is on its way to it and does not stop. */
export const hasSwitched = (state: State) =>
  state === 'succeeded' ||
  state === 'broken' ||
  (!isEnding(state) && ORDER_OF_STATES[state] >= ORDER_OF_STATES.switching);

function resultOf(
  { service, env }: DeploymentRecord,
  all: readonly string[],
  states: ReadonlyMap<string, State>,
): CancelResult {
  const late = all.filter((instance) => hasSwitched(states.get(instance) ?? 'accepted'));
  const open = all.filter((instance) => !isKnown(states.get(instance)));
  const stopped = all.filter((instance) => !late.includes(instance) && !open.includes(instance));
  const parts = [
    stopped.length > 0 || all.length === 0 ? `does not go on on ${named(stopped) || 'any instance'}` : '',
    late.length > 0
      ? `too late for ${named(late)}, which switched already and complete it: trigger-deploy rollback ${service} --env ${env} undoes it`
      : '',
    open.length > 0 ? `no answer yet from ${named(open)}` : '',
  ];
  return {
    result: late.length > 0 ? 'too-late' : open.length > 0 ? 'unknown' : 'cancelled',
    instances: Object.fromEntries(states),
    text: parts.filter(Boolean).join('; '),
  };
}

/**
 * The result of a cancel of a rolling deployment that a publisher drives: that publisher reads the cancel and settles
 * the deployment. Undefined when it has not done so in time. @throws AWS_*.
 */
export async function resultOfWaves(
  session: Session,
  { service, deployment }: DeploymentRecord,
): Promise<Omit<CancelResult, 'instances'> | undefined> {
  const { clock } = session;
  for (const until = clock.monotonic() + WAIT_MS; clock.monotonic() < until; ) {
    const { value } = await session.record.deployments.read(service, deployment);
    if (isFinal(value)) {
      const result = value.status === 'cancelled' ? 'cancelled' : 'too-late';
      return { result, text: value.outcome ?? value.status };
    }
    await clock.sleep(POLL_MS, session.signal);
  }
  return undefined;
}
