import { optionForms, optionName } from './option-kinds.ts';
import { common } from './option-sets.ts';
import { VERBS } from './verbs.ts';

/** Splits a command line into words and options before its verb is known. */

export interface Words {
  /** The words that are neither options nor values of options, in order, up to a `--` after the first word. */
  words: string[];
  /** The options as they are typed, without their values. */
  options: string[];
  /** The index in `argv` of the first word. */
  first: number | undefined;
  /** The index of a `--` before the first word: the word after it is a service, whatever its name. */
  dashes: number | undefined;
  /** The value of `--config-file`. */
  configFile: string | undefined;
}

/** The options of all verbs that take a value, as a person types them. */
const TAKES_VALUE: ReadonlySet<string> = new Set(
  [common, ...Object.values(VERBS).map((row) => row.options)]
    .flatMap((options) => Object.entries(options))
    .filter(([, { kind }]) => kind === 'value' || kind === 'list')
    .flatMap(([key, option]) => optionForms(key, option)),
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

/** Splits an option from an attached value, as in `--env=dev`, `-e=dev` and `-edev`. */
function optionIn(typed: string): { name: string; attached: string | undefined } {
  const [name = '', attached] = typed.split(/=(.*)/s, 2);
  if (name.startsWith('--') || name.length === 2) return { name, attached };
  return { name: name.slice(0, 2), attached: name.slice(2) };
}
