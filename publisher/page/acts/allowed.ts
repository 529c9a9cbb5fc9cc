import type { ConfigView, Obstacle, RunView } from '../../console/api.ts';
import { isGranted, type Permission } from '../../console/permissions.ts';
import type { Act } from './act-form.ts';

/** What this person may do here, as far as the page knows. The server decides; this says it beforehand. Pure. */

const PERMISSION: Readonly<Record<Act, Permission>> = {
  ...{ deploy: 'deploy', promote: 'deploy', resume: 'deploy', queue: 'deploy' },
  ...{ rollback: 'rollback', restart: 'restart', confirm: 'confirm', cancel: 'cancel' },
  ...{ pause: 'pause', unpause: 'unpause', jump: 'jump' },
};

type Known = Pick<ConfigView, 'readOnly' | 'environments' | 'grants' | 'person'>;

/** Why this person cannot do that there at any time; undefined when they may. */
export function whyNever(known: Known, act: Act, env: string, service?: string): Obstacle | undefined {
  if (known.readOnly) {
    return {
      code: 'NO_KEY',
      text: 'this console is read-only',
      hint: 'use another console, or the command line',
    };
  }
  const environment = known.environments.find(({ name }) => name === env);
  if (environment?.canSign === false) {
    return {
      code: 'NO_KEY',
      text: `this console has no key to sign for ${env}`,
      hint: 'use the command line with the key, or a console that has it',
    };
  }
  const permission = PERMISSION[act];
  if (isGranted(known.grants, permission, env, service)) return undefined;
  return {
    code: 'NOT_ALLOWED',
    text: `you may not ${permission} in ${env}`,
    hint: 'the key `console.allow` of the config says who may',
  };
}

/**
 * Why this person cannot confirm there what `by` began, besides that no rule lets them; undefined when they can. With
 * `confirm: other` it is another person, and both are verified.
 */
export function whyNotConfirm(known: Known, env: string, by: string): Obstacle | undefined {
  const { name, isVerified, isMachine } = known.person;
  if (isMachine) {
    const hint = 'a person confirms it on the console or with trigger-deploy confirm';
    return { code: 'NOT_ALLOWED', text: `${name} is a program, and a person must confirm`, hint };
  }
  if (known.environments.find((one) => one.name === env)?.confirm !== 'other') return undefined;
  if (!isVerified) {
    const hint = 'confirm it on the console that verifies who people are';
    return { code: 'NOT_ALLOWED', text: `this console has not verified who ${name} is`, hint };
  }
  if (folded(name) !== folded(by)) return undefined;
  const hint = `send them the address of this page; ${env} has \`confirm: other\``;
  return { code: 'NOT_ALLOWED', text: 'you began this deployment, and another person must confirm it', hint };
}

const folded = (name: string) => name.normalize('NFKC').trim().toLowerCase();

/** Whether a deployment that `by` started there waits for this person. */
export const waitsFor = (known: Known, env: string, service: string, by: string): boolean =>
  whyNever(known, 'confirm', env, service) === undefined && whyNotConfirm(known, env, by) === undefined;

/** Whether this person may take a command out of the line: it is their own, or they may cancel what it would begin. */
export const mayLeave = (known: Known, { by, env = '', service }: RunView): boolean =>
  by === known.person.name || isGranted(known.grants, 'cancel', env, service);
