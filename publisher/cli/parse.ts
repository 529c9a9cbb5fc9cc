import { resolve } from 'node:path';
import * as z from 'zod';
import { contradiction } from './deploy-values.ts';
import { programHelp } from './help.ts';
import { refuseMisspelt } from './misspelt.ts';
import { type Options, optionName } from './option-kinds.ts';
import { common } from './option-sets.ts';
import {
  buildParser,
  missingArguments,
  misused,
  refuseFlagValues,
  refuseUnknownOptions,
  withQuotes,
} from './parser.ts';
import type { CommonValues } from './verb.ts';
import { isVerb, VERBS, type Verb } from './verbs.ts';
import { wordsOf } from './words.ts';

/** Turns the command line into a checked value. Only `knowsService` reads a file; nothing here uses the network. */

/** A verb and the checked values of its options. */
export type Invocation = { verb: Verb } & CommonValues & Record<string, unknown>;

export interface ParseOptions {
  /** The version of trigger-deploy. */
  version: string;
  columns: number;
  /** Whether the config has a service of that name; called only for a word that may be a service or a misspelt verb. */
  knowsService(name: string, configFile: string | undefined): Promise<boolean>;
}

/** Parses and checks the command line. For a request for help or the version it returns the text. @throws USAGE. */
export async function parseCommandLine(
  argv: readonly string[],
  { version, columns, knowsService }: ParseOptions,
): Promise<Invocation | { verb: 'print'; text: string }> {
  const { words, first, dashes, configFile, options: typedOptions } = wordsOf(argv);
  const [word] = words;
  const verb =
    dashes === undefined && word !== undefined && word !== 'deploy' && isVerb(word) ? word : 'deploy';
  // Behind a `--` before the first word there are options, too; behind a later one there are none.
  const end = argv.indexOf('--', (dashes ?? -1) + 1);
  const options = end === -1 ? argv : argv.slice(0, end);
  // `promote` has an option `--version` of its own.
  if (verb !== 'promote' && options.includes('--version')) {
    // Printing the version instead of deploying would look like a success.
    if (words.length > (verb === 'deploy' ? 0 : 1)) {
      throw misused(
        verb,
        `--version is not an option of ${verb}: alone, it shows the version of trigger-deploy`,
      );
    }
    return { verb: 'print', text: version };
  }
  if (argv.length === 0) throw missingArguments('deploy', 0);
  if (verb === 'deploy' && dashes === undefined) {
    await refuseMisspelt(words, (name) => knowsService(name, configFile));
  }
  if (!options.includes('--help')) {
    refuseUnknownOptions(verb, typedOptions);
    refuseFlagValues(verb, options);
  }
  // yargs expects the verb as the first word.
  const rest = argv.filter((_, i) => i !== dashes && (verb === 'deploy' || i !== first));
  const typed = verb === 'deploy' ? rest : [verb, ...rest];
  let help = '';
  const parser = buildParser(verb, columns);
  const parsed = await parser.parseAsync(withQuotes(verb, typed), {}, (_error, _args, output) => {
    help = output;
  });
  if (help !== '') return { verb: 'print', text: verb === 'deploy' ? programHelp(help, columns) : help };
  // Words that yargs assigned to no argument, among them everything after a `--`.
  const stray = parsed._.slice(verb === 'deploy' ? 0 : 1);
  if (stray.length > 0) throw misused(verb, `too many arguments: ${stray.join(' ')}`);
  return check(verb, parsed);
}

function check(verb: Verb, parsed: unknown): Invocation {
  const checked = schemaOf(VERBS[verb].options).safeParse(parsed);
  if (!checked.success) {
    const [issue] = checked.error.issues;
    throw misused(verb, issue ? issueText(issue, VERBS[verb].options) : 'wrong arguments');
  }
  const invocation = { verb, ...checked.data } as Invocation;
  const refusal = refusalOf(invocation);
  if (refusal !== undefined) throw misused(verb, refusal);
  return invocation;
}

function schemaOf(options: Options) {
  const all: Options = { ...common, ...options };
  return z.object(Object.fromEntries(Object.entries(all).map(([key, { schema }]) => [key, schema])));
}

/** Whether what the verb prints is its purpose. */
export function isAnswer(verb: Verb): boolean {
  return VERBS[verb].group === 'look' || verb === 'completion';
}

/** The environment that the command line names; undefined when it names none. */
export function environmentOf(invocation: Invocation): string | undefined {
  const row = VERBS[invocation.verb];
  return row.environment === undefined ? invocation.env : row.environment(invocation);
}

function refusalOf(invocation: Invocation): string | undefined {
  const { verb, service } = invocation;
  if (typeof service === 'string' && isVerb(service)) {
    return `${JSON.stringify(service)} cannot be a service: that word is a command of trigger-deploy and cannot name a service`;
  }
  return (
    withoutReason(invocation) ??
    twoEnvironments(invocation) ??
    contradiction(invocation) ??
    twoInOneFile(invocation) ??
    VERBS[verb].refuse?.(invocation)
  );
}

/** `--jump`, `--despite-pause` and, where something is deployed, `--skip-checks` need a reason. */
function withoutReason(invocation: Invocation): string | undefined {
  const { verb, jump, despitePause, skipChecks, reason } = invocation;
  const skips = skipChecks && 'reason' in VERBS[verb].options;
  const options = { '--jump': jump, '--despite-pause': despitePause, '--skip-checks': skips };
  const unusual = Object.entries(options).find(([, given]) => given)?.[0];
  if (unusual === undefined || (typeof reason === 'string' && reason.trim() !== '')) return undefined;
  return `${unusual} needs --reason: the reason is recorded, and shown to everyone affected`;
}

function twoEnvironments(invocation: Invocation): string | undefined {
  const named = environmentOf(invocation);
  if (invocation.env === undefined || named === invocation.env) return undefined;
  const option = invocation.verb === 'promote' ? '--to' : '--deploy';
  return `${option} ${named} and --env ${invocation.env} name different environments`;
}

function twoInOneFile({ idFile, junit }: Invocation): string | undefined {
  if (typeof idFile !== 'string' || typeof junit !== 'string' || resolve(idFile) !== resolve(junit))
    return undefined;
  return `--id-file and --junit name the same file: ${junit}`;
}

function issueText({ path, message }: z.core.$ZodIssue, options: Options): string {
  const key = String(path[0]);
  if (options[key]?.kind === 'argument' || message.includes(' cannot be ')) return message;
  return `${optionName(key)} ${message}`;
}
