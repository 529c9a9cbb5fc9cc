import { optionName } from './option-kinds.ts';
import { common } from './option-sets.ts';
import { VERBS } from './verbs.ts';

/** A command line taken apart before its verb is known. */

export interface Words {
  /** The words that are neither options nor their values, in order. */
  words: string[];
  /** Every option, as it is typed, without its value. */
  options: string[];
  /** The index in `argv` of the first word. */
  first: number | undefined;
  /** The index of a `--` before the first word: the word after it is a service, whatever its name. */
  dashes: number | undefined;
  /** What `--config-file` names. */
  configFile: string | undefined;
}

/** Every option of every verb that takes a value, as it is typed. */
const TAKES_VALUE: ReadonlySet<string> = new Set(
  [common, ...Object.values(VERBS).map((row) => row.options)]
    .flatMap((options) => Object.entries(options))
    .filter(([, { kind }]) => kind === 'value' || kind === 'list')
    .flatMap(([key, { alias }]) => [optionName(key), ...(alias === undefined ? [] : [`-${alias}`])]),
);

export function wordsOf(argv: readonly string[]): Words {
  const found: Words = { words: [], options: [], first: undefined, dashes: undefined, configFile: undefined };
  for (let i = 0; i < argv.length; i += 1) {
    const one = argv[i] ?? '';
    if (one === '--') {
      if (found.first !== undefined) break;
      found.dashes ??= i;
    } else if (one.startsWith('-') && one !== '-') {
      const { name, attached } = optionIn(one);
      found.options.push(name);
      if (name === optionName('configFile')) found.configFile = attached ?? argv[i + 1];
      if (attached === undefined && TAKES_VALUE.has(name)) i += 1;
    } else {
      found.first ??= i;
      found.words.push(one);
    }
  }
  return found;
}

/** `--env=dev`, `-e=dev` and `-edev` have their value attached. */
function optionIn(typed: string): { name: string; attached: string | undefined } {
  const [name = '', attached] = typed.split(/=(.*)/s, 2);
  if (name.startsWith('--') || name.length === 2) return { name, attached };
  return { name: name.slice(0, 2), attached: name.slice(2) };
}
