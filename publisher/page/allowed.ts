import type { ConfigView, Obstacle } from '../console/api.ts';
import { isGranted, type Permission } from '../console/permissions.ts';
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
 * Whether a deployment that `by` started there waits for this person. With `confirm: other` it does not wait for who
 * started it, and with `person` or `other` it waits for a verified person.
 */
export function waitsFor(known: Known, env: string, service: string, by: string): boolean {
  if (whyNever(known, 'confirm', env, service) !== undefined) return false;
  const confirm = known.environments.find(({ name }) => name === env)?.confirm;
  return confirm !== 'other' || by !== known.person.name;
}
