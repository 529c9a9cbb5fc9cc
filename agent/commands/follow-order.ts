import { setTimeout as sleep } from 'node:timers/promises';
import { cleanTail } from '../../shared/clean-text.ts';
import { formatMs } from '../../shared/duration.ts';
import type { Report } from '../../shared/report.ts';
import { endingOf, hasEnded, type ServiceState } from '../deploy/state.ts';
import type { DeployableService, LocalDeployDeps } from './deps.ts';

/** How often the journal is read, ms. */
const READ_EVERY = 100;
/** A running agent takes an order within seconds. If it has not after this time, ms, the user is told. */
const TAKEN_WITHIN = 15_000;
/** How many lines of the error's detail are shown. */
const TAIL_LINES = 40;

/** Reads the journal and prints each new state of the order, until the order ends. Returns whether it succeeded. */
export async function follow(
  { service, runningAgent }: Pick<LocalDeployDeps, 'runningAgent'> & { service: DeployableService },
  deployment: string,
  say: (line: string) => void,
): Promise<boolean> {
  const began = performance.now();
  let shown = '';
  let warned = false;
  const show = (text: string) => {
    if (text !== shown) say(`${timeOfDay()} ${service.name} ${text}`);
    shown = text;
  };
  for (;;) {
    const state = await service.state();
    const ending = state && endingOf(state, deployment)?.report;
    if (state && ending) {
      for (const line of endingLines(ending, state)) say(line);
      return ending.state === 'succeeded';
    }
    const step = state && stepOf(state, deployment);
    if (step !== undefined) show(step);
    else if (state && hasEnded(state, deployment)) {
      say('the order has ended, but its result is no longer in the journal; see trigger-deploy-agent status');
      return false;
    } else if (!warned && performance.now() - began > TAKEN_WITHIN && (await runningAgent())) {
      warned = true;
      say('the agent has not taken the order yet; see journalctl -u trigger-deploy-agent');
    }
    await sleep(READ_EVERY);
  }
}

function stepOf({ active, waiting }: ServiceState, deployment: string): string | undefined {
  if (active?.order.deployment === deployment) {
    return active.direction === 'back'
      ? `${active.state} (rolling back to ${active.previous ?? 'no version'})`
      : active.state;
  }
  return waiting?.deployment === deployment ? 'accepted' : undefined;
}

/** The lines of an ending; the first is the summary. */
function endingLines(report: Report, { pinned, outbox }: ServiceState): string[] {
  const { service, version, previous, error, state } = report;
  const took = Object.values(report.timings).reduce((sum, ms) => sum + ms, 0);
  const back = state === 'rolled-back' ? `, back to ${previous ?? 'none'}` : '';
  const ran = state === 'succeeded' && report.changed === false ? ' (it already ran)' : '';
  const why = error ? `: ${error.code}: ${error.message}` : '';
  const lines = [`${timeOfDay()} ${service} ${state} ${version}${back}${ran} in ${formatMs(took)}${why}`];
  const tail = cleanTail(error?.detail ?? '').trim();
  for (const line of tail.split('\n').slice(-TAIL_LINES)) {
    if (line !== '') lines.push(`  | ${line}`);
  }
  if (state === 'succeeded' && pinned) {
    lines.push(`${service} is PINNED to ${pinned.version} until a newer announcement arrives`);
  }
  if (outbox.length > 0) lines.push('the report is written to the record once AWS can be reached');
  return lines;
}

function timeOfDay(): string {
  return new Date().toISOString().slice(11, 23);
}
