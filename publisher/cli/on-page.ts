import { type Options, optionName } from './option-kinds.ts';
import { common } from './option-sets.ts';
import type { Invocation } from './parse.ts';
import type { Row } from './verb.ts';
import { VERBS } from './verbs.ts';

/**
 * Why the page of the console may not run a checked command line; undefined when it may. A verb is refused until its row
 * says otherwise; of its options, those that name a file of the console's machine or make sense at a terminal only. Pure.
 */
export function notOnPage(invocation: Invocation): string | undefined {
  const { verb } = invocation;
  const row: Row = VERBS[verb];
  if (row.onPage === undefined) return `${verb} is for the terminal`;
  const options: Options = { ...common, ...row.options };
  const refused = Object.entries(options).find(
    ([key, { atTerminal, completes }]) =>
      (atTerminal === true || completes === 'file' || completes === 'directory') && isGiven(invocation[key]),
  );
  return refused && `${optionName(refused[0])} is for the terminal`;
}

/** A default other than "nothing" counts as given: such an option is refused whether or not it was typed. */
const isGiven = (value: unknown) =>
  value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);
