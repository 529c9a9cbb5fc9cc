import { formatMs } from '../../shared/duration.ts';
import type { PlanAnswer } from '../commands/plan.ts';
import { demandText } from './check-text.ts';
import { forgottenText } from './forgotten-text.ts';
import type { Page } from './page.ts';
import { aligned, oneLine } from './text.ts';

/** The waves of a plan, and the version that each instance runs now. */
export function planTable(answer: PlanAnswer, page: Page): string[] {
  const { service, version, previous, env, waves, forgotten = [] } = answer;
  const change = previous === null || previous === version ? version : `${previous} → ${version}`;
  const of = waves.length;
  return [
    page.paint('strong', `${service} ${change} in ${env}: plan only, nothing was changed`),
    ...waves.flatMap((wave, i) => [
      '',
      page.paint('strong', waveText(wave, i + 1, of)),
      ...aligned(
        wave.instances.map((one) => [
          { text: one.instance },
          { text: oneLine(one.zone ?? ''), tone: 'dim' as const },
          { text: one.version ?? 'none' },
        ]),
        page,
      ),
    ]),
    ...forgotten.map((one) => page.paint('warn', `  ${one.instance}  ${forgottenText(one)}`)),
    '',
    rulesText(answer),
    ...checksLines(answer),
    ...obstacleTexts(answer).map((text) => page.paint('bad', text)),
  ];
}

/** Why a deployment would be refused now. */
function obstacleTexts({ obstacles = [] }: PlanAnswer): string[] {
  return obstacles.map(({ code, text, hint }) => {
    const what = hint === undefined ? '' : ` → ${oneLine(hint)}`;
    return `now refused: ${oneLine(code)}: ${oneLine(text)}${what}`;
  });
}

export function planLines(answer: PlanAnswer): string[] {
  const { service, version, waves, forgotten = [] } = answer;
  const lines = waves.map((wave, i) => {
    const who = wave.instances.map((one) => one.instance).join(' ');
    return `${service} ${version} ${waveText(wave, i + 1, waves.length)}: ${who}`;
  });
  const gone = forgotten.map((one) => `${service} ${one.instance} ${forgottenText(one)}`);
  const rules = [rulesText(answer), ...checksLines(answer), ...obstacleTexts(answer)];
  return [...lines, ...gone, ...rules.map((text) => `${service} ${version} ${text}`)];
}

/** Which automatic checks the deployment must pass, and what the alarms are now. */
function checksLines({ checks, alarmsNow }: PlanAnswer): string[] {
  if (checks === undefined) return [];
  if (checks.skipped) return [`automatic checks, skipped: ${demandText(checks)}`];
  return [
    `automatic checks: ${demandText(checks)}`,
    ...(alarmsNow === undefined
      ? []
      : [`now: ${oneLine(alarmsNow.text)}${alarmsNow.refused ? ': the deployment would be refused' : ''}`]),
  ];
}

function waveText(wave: PlanAnswer['waves'][number], number: number, of: number): string {
  const count = `${wave.instances.length} ${wave.instances.length === 1 ? 'instance' : 'instances'}`;
  return wave.kind === 'all' ? `all at once, ${count}` : `wave ${number} of ${of}, ${wave.kind}, ${count}`;
}

function rulesText({ strategy, maxFailures, onFailure, previous, waves }: PlanAnswer): string {
  const rules: string[] = [];
  if (waves.every((wave) => wave.instances.length === 0)) rules.push('no known instance');
  if (strategy.name === 'rolling') {
    rules.push('all instances prepare first');
    if (strategy.gate === 'person')
      rules.push(
        strategy.confirm === 'other' ? 'waits for another person to confirm' : 'waits for confirmation',
      );
    if (strategy.gate === 'time')
      rules.push(`continues by itself after ${formatMs(strategy.autoConfirmMs ?? 0)}`);
    if (strategy.pauseBetweenMs > 0) rules.push(`${formatMs(strategy.pauseBetweenMs)} between waves`);
  }
  const rollback =
    previous === null ? 'there is no version to roll back to' : `switched instances roll back to ${previous}`;
  const consequence =
    onFailure === 'stop' ? 'the deployment stops, and switched instances stay on the new version' : rollback;
  rules.push(
    `if more than ${maxFailures} ${maxFailures === 1 ? 'instance fails' : 'instances fail'}, ${consequence}`,
  );
  return rules.join('; ');
}
