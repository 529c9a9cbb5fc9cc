import { setTimeout as sleep } from 'node:timers/promises';
import { cleanTail, type Report } from '../../shared/report.ts';
import { formatMs } from '../../shared/retry.ts';
import type { LocalOrder } from '../deploy/local-order.ts';
import { hasEnded, type ServiceState } from '../deploy/state.ts';
import type { Wiring } from './deps.ts';

/** How often the journal is read, ms. */
const LOOK_EVERY = 100;
/** An agent that runs takes an order within seconds, ms. */
const TAKEN_WITHIN = 15_000;
/** How many lines of a log tail are shown. */
const TAIL = 40;

/** A line for each state of the order, from the journal, to its ending; true when it succeeded. */
export async function follow(
  wiring: Wiring,
  { deployment, service }: Pick<LocalOrder, 'deployment' | 'service'>,
  say: (line: string) => void,
): Promise<boolean> {
  const began = performance.now();
  let told = '';
  let warned = false;
  const tell = (text: string) => {
    if (text !== told) say(`${timeOfDay()} ${service} ${text}`);
    told = text;
  };
  for (;;) {
    const state = await wiring.stateOf(service);
    const ending = state?.endings.find(({ report }) => report.deployment === deployment)?.report;
    if (state && ending) {
      for (const line of endingLines(ending, state)) say(line);
      return ending.state === 'succeeded';
    }
    const standing = state && standingOf(state, deployment);
    if (standing !== undefined) tell(standing);
    else if (state && hasEnded(state, deployment)) {
      say('it is over, and more deployments have been since: trigger-deploy-agent status');
      return false;
    } else if (!warned && performance.now() - began > TAKEN_WITHIN && (await wiring.agent())) {
      warned = true;
      say('the agent has not taken the order yet: journalctl -u trigger-deploy-agent tells why');
    }
    await sleep(LOOK_EVERY);
  }
}

function standingOf({ active, waiting }: ServiceState, deployment: string): string | undefined {
  if (active?.order.deployment === deployment) {
    return active.direction === 'back' ? `${active.state} (going back to ${active.previous})` : active.state;
  }
  return waiting?.deployment === deployment ? 'accepted' : undefined;
}

/** What a person wants to know at the end, the first line the most. */
function endingLines(report: Report, { pinned, outbox }: ServiceState): string[] {
  const { service, version, previous, error, state } = report;
  const took = Object.values(report.timings).reduce((sum, ms) => sum + ms, 0);
  const back = state === 'rolled-back' ? `, back to ${previous ?? 'nothing'}` : '';
  const ran = state === 'succeeded' && report.changed === false ? ', which ran already' : '';
  const why = error ? `: ${error.code}: ${error.message}` : '';
  const lines = [`${timeOfDay()} ${service} ${state} ${version}${back}${ran} in ${formatMs(took)}${why}`];
  for (const line of cleanTail(error?.detail ?? '')
    .trim()
    .split('\n')
    .slice(-TAIL)) {
    if (line !== '') lines.push(`  | ${line}`);
  }
  if (state === 'succeeded' && pinned) {
    lines.push(`${service} is PINNED to ${pinned.version} until a newer announcement comes`);
  }
  if (outbox.length > 0) lines.push('it is recorded as soon as AWS can be reached');
  return lines;
}

function timeOfDay(): string {
  return new Date().toISOString().slice(11, 23);
}
