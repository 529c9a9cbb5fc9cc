import type { AllowRule } from '../../config/schema-console.ts';
import type { Person } from '../../record/origin.ts';
import { type Grant, isGranted, type Permission } from '../permissions.ts';
import type { Command, Refusal } from '../ports.ts';

/** What `console.allow` lets each person do. What no rule gives is refused. Pure. */

/**
 * What each verb needs. A verb that is not here is refused, and so is an option of `OPTIONS`: a test compares both with the
 * command line, so that somebody decides before a new one can be used.
 */
const VERBS: Readonly<Record<string, Permission>> = {
  deploy: 'deploy',
  // Besides, the person must be allowed to look at the environment that the version comes from.
  promote: 'deploy',
  rollback: 'rollback',
  restart: 'restart',
  confirm: 'confirm',
  cancel: 'cancel',
  // It continues what somebody was allowed to begin, and can allow more missing instances.
  resume: 'deploy',
  pause: 'pause',
  unpause: 'unpause',
  status: 'look',
  history: 'look',
  show: 'look',
  versions: 'look',
  plan: 'look',
};

/**
 * What an option needs besides its verb. `deploy` includes how: the waves, which instances, and how many may fail or be
 * missing, with no checks or with all of them; `--strategy all` weakens as much as each of these.
 */
const OPTIONS: Readonly<Record<string, Permission | 'nothing'>> = {
  jump: 'jump',
  // It acts as if the pause had ended.
  despitePause: 'unpause',
  ...nothing('verb', 'env', 'service', 'version', 'deployment', 'instance', 'reason', 'output'),
  ...nothing('timeout', 'allowMissing', 'queue', 'strategy', 'canary', 'batch', 'confirm', 'autoConfirm'),
  ...nothing('pauseBetween', 'maxFailures', 'onFailure', 'skipChecks', 'only', 'where', 'ifSequence'),
  ...nothing('from', 'to', 'limit', 'failed', 'since', 'before', 'at', 'all', 'noRollCall'),
};

function nothing(...names: string[]): Record<string, 'nothing'> {
  return Object.fromEntries(names.map((name) => [name, 'nothing']));
}

/** Whether the option is one that somebody has decided on. */
export const isDecidedOption = (name: string): boolean => Object.hasOwn(OPTIONS, name);
export const isDecidedVerb = (verb: string): boolean => Object.hasOwn(VERBS, verb);

/** What the rules give this person, for the page and for `mayRun`. A program may not confirm. */
export function grantsOf(rules: readonly AllowRule[], person: Person): Grant[] {
  return rules
    .filter(({ who }) => isMeant(who, person))
    .map(({ env, service, may }) => ({ env, service, may: may.filter((one) => mayEver(person, one)) }))
    .filter(({ may }) => may.length > 0);
}

function mayEver(person: Person, permission: Permission): boolean {
  if (person.mayOnlyLook === true) return permission === 'look';
  return !(person.isMachine && permission === 'confirm');
}

function isMeant(who: string, person: Person): boolean {
  if (who === '*') return true;
  if (who.startsWith('group:')) return person.groups.includes(who.slice('group:'.length));
  if (person.mayOnlyLook === true) return false;
  const [local, domain, ...rest] = folded(person.name).split('@');
  // With a second @ the domain would be whatever the reader takes it for, and an address has no space.
  if (!local || domain === undefined || rest.length > 0 || /\s/.test(person.name)) return false;
  return who.startsWith('*@') ? folded(who.slice(2)) === domain : folded(who) === `${local}@${domain}`;
}

/** In lower case, if that changes ASCII letters only: `K`, the sign of Kelvin, becomes a k. */
const folded = (text: string) => (/^[\u0020-\u007e]*$/.test(text) ? text.toLowerCase() : text);

/** Why the person may not run the command; undefined when they may. Nobody acts where they may not look. */
export function mayRun(rules: readonly AllowRule[], person: Person, command: Command): Refusal | undefined {
  const grants = grantsOf(rules, person);
  const { verb, env, service, values } = command;
  const permission = Object.hasOwn(VERBS, verb) ? VERBS[verb] : undefined;
  if (permission === undefined) return refusal(`no rule can allow ${verb} on this page`);
  const needs = new Set<Permission>(['look', permission]);
  for (const [name, value] of Object.entries(values)) {
    if (!isGiven(value)) continue;
    const need = Object.hasOwn(OPTIONS, name) ? OPTIONS[name] : undefined;
    if (need === undefined) return refusal(`no rule can allow ${name} of ${verb} on this page`);
    if (need !== 'nothing') needs.add(need);
  }
  const sees = (place: string, of: string | undefined) => isGranted(grants, 'look', place, of);
  if (env === undefined || values.all === true) {
    return seesEverything(grants) && permission === 'look'
      ? undefined
      : notAllowed(person, 'look', 'at every environment and service');
  }
  const place = `${service === undefined ? 'every service' : service} in ${env}`;
  for (const need of needs) {
    if (!isGranted(grants, need, env, service)) return notAllowed(person, need, place);
  }
  if (verb === 'promote' && !(typeof values.from === 'string' && sees(values.from, service))) {
    return notAllowed(person, 'look', `at ${service} in ${values.from}`);
  }
  return undefined;
}

const isGiven = (value: unknown) =>
  value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0);

const seesEverything = (grants: readonly Grant[]) =>
  grants.some(({ env, service, may }) => env === undefined && service === undefined && may.includes('look'));

function notAllowed(person: Person, permission: Permission, place: string): Refusal {
  const cannot = `${person.name} may not ${permission} ${place}`;
  if (permission === 'confirm' && person.isMachine) {
    return refusal(`${cannot}: the token is of a program, and a person confirms`);
  }
  if (person.mayOnlyLook === true) {
    return refusal(`${cannot}: the token does not say who it is`, 'console.person names the claim');
  }
  return refusal(cannot);
}

function refusal(message: string, hint = 'console.allow in trigger-deploy.yaml says who may'): Refusal {
  return { status: 403, error: { code: 'NOT_ALLOWED', message, hint } };
}
