import type { InitAnswer } from '../commands/init.ts';
import type { Step, StepState } from '../setup/setting.ts';
import { oneLine } from './text.ts';

/** What `init` did, a line for each thing as soon as it is done, and what is left to do. Pure. */

const LONGEST = 'missing'.length;

/** `changed  bucket acme-deploys-dev, versioning: Enabled`, and below it what to do. */
export function stepLines({ state, thing, what, text, hint }: Step): string[] {
  const whose = what === undefined ? thing : `${thing}, ${what}`;
  const line = `${state.padEnd(LONGEST)}  ${oneLine(`${whose}: ${text}`)}`;
  return hint === undefined ? [line] : [line, `${' '.repeat(LONGEST)}  → ${oneLine(hint)}`];
}

const COUNTED: readonly (readonly [StepState, string])[] = [
  ['created', 'created'],
  ['changed', 'changed'],
  ['missing', 'to create'],
  ['differs', 'to change'],
  ['wrong', 'wrong'],
  ['denied', 'denied'],
  ['failed', 'failed'],
];

/** The last lines: what was done, and what to add to trigger-deploy.yaml. */
export function initLines({ env, account, region, counts, yaml, isDryRun }: InitAnswer): string[] {
  const said = COUNTED.flatMap(([state, word]) => (counts[state] ? [`${counts[state]} ${word}`] : []));
  const ok = counts.ok ? [`${counts.ok} right already`] : [];
  const summary = `${env} in ${account}, ${region}: ${[...said, ...ok].join(', ')}`;
  const lines = isDryRun && said.length > 0 ? [`${summary}; nothing was changed (--dry-run)`] : [summary];
  return yaml === undefined
    ? lines
    : [...lines, '', 'add to trigger-deploy.yaml:', '', ...yaml.trimEnd().split('\n')];
}
