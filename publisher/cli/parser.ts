import yargs, { type Argv, type Options as YargsOptions } from 'yargs';
import { TriggerDeployError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { EPILOGUE, usageOf } from './help.ts';
import { nearestVerb } from './misspelt.ts';
import { type Option, type Options, optionForms, optionName } from './option-kinds.ts';
import { common } from './option-sets.ts';
import { VERBS, type Verb } from './verbs.ts';

/** The yargs parser of one verb, with its help. The verb's schemas check the values. */

export interface Misuse {
  hint?: string | undefined;
  cause?: unknown;
}

/** A USAGE error; its hint is the verb's usage, unless `hint` is given. */
export function misused(verb: Verb, message: string, { hint, cause }: Misuse = {}): TriggerDeployError {
  const name = verb === 'deploy' ? '' : `${verb} `;
  const usage = `usage: trigger-deploy ${usageOf(verb)}; trigger-deploy ${name}--help shows examples`;
  return new TriggerDeployError('USAGE', message, { cause, hint: hint ?? usage });
}

export function buildParser(verb: Verb, columns: number): Argv {
  const name = verb === 'deploy' ? '$0' : verb;
  return yargs([])
    .scriptName('trigger-deploy')
    .parserConfiguration({
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'dot-notation': false,
      'boolean-negation': false,
    })
    .detectLocale(false)
    .locale('en')
    .updateStrings({ 'Positionals:': 'Arguments:' })
    .strict()
    .exitProcess(false)
    .version(false)
    .wrap(Math.max(60, Math.min(columns, 110)))
    .help()
    .command([name, ...argumentsOf(verb)].join(' '), false, (command) => describeVerb(command, verb))
    .fail((message, error) => {
      throw complaint(verb, message ?? error?.message ?? 'wrong arguments', error ?? undefined);
    });
}

/** The arguments in the usage of a verb: `<service>`, `<file..>`, `[service]`. Its required options are left out. */
const argumentsOf = (verb: Verb) =>
  VERBS[verb].usage.replace(/--\S+ <\S+>/g, '').match(/[<[][^\]>]+[\]>]/g) ?? [];

function describeVerb(command: Argv, verb: Verb): Argv {
  const { summary, options, examples, notes, orHome } = VERBS[verb];
  const { env: named, ...others } = common;
  const env = orHome ? { ...named, help: named.help.replace(')', ", else the config's `home`)") } : named;
  for (const [key, { kind, help }] of Object.entries(options)) {
    if (kind === 'argument') command.positional(key, { type: 'string', describe: help });
  }
  return command
    .usage(verb === 'deploy' ? summary : `trigger-deploy ${usageOf(verb)}\n\n${summary}`)
    .options(yargsOptions({ env, ...options, ...others }))
    .example(examples.map(([typed, what]) => [typed, what]))
    .epilogue([notes, EPILOGUE].filter(Boolean).join('\n\n'));
}

function yargsOptions(options: Options): Record<string, YargsOptions> {
  const named = Object.entries(options).filter(([, { kind }]) => kind !== 'argument');
  return Object.fromEntries(named.map(([key, option]) => [optionName(key).slice(2), yargsOption(option)]));
}

function yargsOption({ kind, help, alias }: Option): YargsOptions {
  const about = { describe: help, ...(alias === undefined ? {} : { alias }) };
  if (kind === 'flag') return { ...about, type: 'boolean' };
  const one = { ...about, type: 'string', requiresArg: true } as const;
  return kind === 'list' ? { ...one, array: true, nargs: 1 } : one;
}

/** The error for a message of yargs, in this program's words. */
function complaint(verb: Verb, message: string, cause: unknown): TriggerDeployError {
  const given = /^Not enough non-option arguments: got (\d+)/.exec(message)?.[1];
  if (given !== undefined) return missingArguments(verb, Number(given), cause);
  const valueless = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  if (valueless !== undefined) return misused(verb, `${dashed(valueless)} needs a value`, { cause });
  const stray = /^Unknown arguments?: (.+)$/.exec(message)?.[1];
  if (stray === undefined) return misused(verb, message.replace(/\n+/g, ' '), { cause });
  return misused(verb, `too many arguments: ${stray.split(', ').join(' ')}`, { cause });
}

/** `given` is how many of the verb's arguments were typed. */
export function missingArguments(verb: Verb, given: number, cause?: unknown): TriggerDeployError {
  const required = argumentsOf(verb).filter((one) => one.startsWith('<'));
  const missing = required.slice(given).map((one) => one.replace('..', ''));
  return misused(verb, `missing ${missing.length === 1 ? 'argument' : 'arguments'}: ${missing.join(' ')}`, {
    cause,
  });
}

/** @throws USAGE when the verb does not have one of the options in `typed`. */
export function refuseUnknownOptions(verb: Verb, typed: readonly string[]): void {
  const known = Object.entries<Option>({ ...common, ...VERBS[verb].options }).filter(
    ([, { kind }]) => kind !== 'argument',
  );
  // yargs accepts --noWait as --no-wait.
  const forms = known.flatMap(([key, option]) => [...optionForms(key, option), `--${key}`]);
  const unknown = typed.filter((one) => !forms.includes(one));
  const [first] = unknown;
  if (first === undefined) return;
  const option = nearest(
    first,
    known.map(([key]) => optionName(key)),
  );
  const command = first.startsWith('--') ? nearestVerb(first.slice(2)) : undefined;
  const meant = option ?? (command && `the command ${command}`);
  throw misused(verb, `unknown ${unknown.length === 1 ? 'option' : 'options'}: ${unknown.join(', ')}`, {
    hint: meant && `did you mean ${meant}?`,
  });
}

/**
 * A flag takes no value. yargs would take `true` and `false`, and read any other attached value as false.
 * @throws USAGE when a flag in `argv` has a value.
 */
export function refuseFlagValues(verb: Verb, argv: readonly string[]): void {
  const flags = Object.entries<Option>({ ...common, ...VERBS[verb].options })
    .filter(([, { kind }]) => kind === 'flag')
    .flatMap(([key, option]) => [...optionForms(key, option), `--${key}`]);
  for (const [i, typed] of argv.entries()) {
    const [name = '', attached] = typed.split(/=(.*)/s, 2);
    if (!flags.includes(name)) continue;
    const given = attached ?? (/^(true|false)$/.test(argv[i + 1] ?? '') ? argv[i + 1] : undefined);
    if (given !== undefined) throw misused(verb, `${name} takes no value, found ${JSON.stringify(given)}`);
  }
}

/** yargs takes a pair of quotes off a value that is attached to a list, as in `--where='"a=b"'`: here it gets one more. */
export function withQuotes(verb: Verb, argv: readonly string[]): string[] {
  const lists = Object.entries(VERBS[verb].options)
    .filter(([, { kind }]) => kind === 'list')
    .flatMap(([key, option]) => [...optionForms(key, option), `--${key}`]);
  return argv.map((typed) => {
    const [name = '', attached = ''] = typed.split(/=(.*)/s, 2);
    const quote = /^(["']).*\1$|^(["'])$/s.exec(attached)?.[0][0];
    return quote === undefined || !lists.includes(name) ? typed : `${name}=${quote}${attached}${quote}`;
  });
}

const dashed = (name: string) => (name.length === 1 ? `-${name}` : `--${name}`);
