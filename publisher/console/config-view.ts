import type { Environment } from '../config/load.ts';
import type { ConfigView, EnvironmentView } from './api.ts';
import { maySee } from './people/visible.ts';
import type { Grant } from './permissions.ts';

/** What the page gets of the config: a list of what it may have, not of what it may not. Pure. */

/** The defaults of a deployment that a dialog shows. Not `verify`: its command may hold a token. */
const DEFAULTS = [
  ...['strategy', 'canary', 'batch', 'autoConfirm', 'pauseBetween', 'maxFailures', 'allowMissing'],
  ...['onFailure', 'timeout'],
] as const;

export function environmentView(env: Environment, readOnly: boolean): EnvironmentView {
  const { name, requires, confirm, signingKey, services } = env;
  return {
    name,
    ...(requires !== undefined && { requires }),
    ...(confirm !== undefined && { confirm }),
    canSign: !readOnly && signingKey !== undefined,
    services: Object.fromEntries(
      Object.entries(services).map(([service, defaults]) => [service, shown({ ...defaults })]),
    ),
  };
}

function shown(defaults: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    DEFAULTS.filter((key) => defaults[key] !== undefined).map((key) => [key, defaults[key]]),
  );
}

/** In the order in which `requires` has them, the required one first; else in the order of the config. */
export function inOrder<T extends Pick<EnvironmentView, 'name' | 'requires'>>(all: readonly T[]): T[] {
  const ordered: T[] = [];
  const add = (one: T, behind: readonly T[]) => {
    if (ordered.includes(one) || behind.includes(one)) return;
    const required = all.find(({ name }) => name === one.requires);
    if (required !== undefined) add(required, [...behind, one]);
    ordered.push(one);
  };
  for (const one of all) add(one, []);
  return ordered;
}

/** The config for one person: the environments that they may look at, with the services that they may look at. */
export function configFor(view: ConfigView, grants: readonly Grant[]): ConfigView {
  const environments = view.environments
    .filter(({ name }) => maySee(grants, name))
    .map(({ requires, ...env }) => ({
      ...env,
      ...(requires !== undefined && maySee(grants, requires) && { requires }),
      services: Object.fromEntries(
        Object.entries(env.services).filter(([service]) => maySee(grants, env.name, service)),
      ),
    }));
  return { ...view, environments, grants };
}
