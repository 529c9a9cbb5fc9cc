import { TriggerDeployError } from '../../shared/errors.ts';
import { RESERVED_NAMES, serviceName, ulid } from '../../shared/names.ts';
import { nearest } from '../../shared/nearest.ts';
import { NAMES } from './verbs.ts';

/** Whether a command line begins with a verb, with a service, or with a misspelt verb. */

/** A word counts as the beginning of a command name if it has at least this many letters. */
const SHORTEST_BEGINNING = 3;

/**
 * Refuses a first word that looks like a verb, unless the config has a service of that name, or only one word follows,
 * which looks like a version and is not a service of the config. Not for a word after `--`: that is always a service.
 * @throws USAGE for a misspelt verb, and for a reserved word that is not a verb.
 */
export async function refuseMisspelt(
  words: readonly string[],
  knowsService: (name: string) => Promise<boolean>,
): Promise<void> {
  const [first, second, ...more] = words;
  if (first === undefined) return;
  if (first === 'deploy' || RESERVED_NAMES.includes(first)) throw unknownCommand(words);
  const meant = nearestVerb(first);
  if (meant === undefined) return;
  if (serviceName.safeParse(first).success) {
    if (await knowsService(first)) return;
    const named = second !== undefined && (await knowsService(second));
    if (more.length === 0 && looksLikeVersion(second) && !named) return;
  }
  throw unknownCommand(words, meant);
}

export function nearestVerb(word: string): string | undefined {
  const lower = word.toLowerCase();
  const begun = NAMES.filter((name) => name.startsWith(lower));
  if (lower.length >= SHORTEST_BEGINNING && begun.length === 1) return begun[0];
  return nearest(lower, [...NAMES, 'deploy']);
}

/** A guess: nearly every version has a digit or an underscore, and few service names have one. */
function looksLikeVersion(word: string | undefined): boolean {
  if (word === undefined || ulid.safeParse(word.toUpperCase()).success) return false;
  return word === 'latest' || /[\d_]/.test(word) || !serviceName.safeParse(word).success;
}

function unknownCommand(words: readonly string[], meant?: string): TriggerDeployError {
  const [first = '', ...rest] = words;
  return new TriggerDeployError('USAGE', `unknown command: ${first}`, { hint: hintFor(first, rest, meant) });
}

function hintFor(first: string, rest: readonly string[], meant: string | undefined): string {
  const [service = 'SERVICE', version = 'VERSION'] = rest;
  const deploying = `to deploy, type trigger-deploy ${service} ${version} --env ENV`;
  if (first === 'deploy' || meant === 'deploy') return deploying;
  if (first === 'help') return 'trigger-deploy --help lists the commands';
  if (meant === undefined) {
    return `the commands are ${NAMES.join(', ')}; no service can be named ${first}`;
  }
  if (!serviceName.safeParse(first).success) return `did you mean ${meant}?`;
  return `did you mean ${meant}? To deploy a service of that name: trigger-deploy -- ${first} VERSION --env ENV`;
}
