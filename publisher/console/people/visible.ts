import { type Grant, isGranted } from '../permissions.ts';

/** What a person may see. Every answer of the API and every message of a stream goes through `visibleTo`. Pure. */

/** Whether the person may look at the service there, or at anything of the environment. */
export function maySee(grants: readonly Grant[], env: string, service?: string): boolean {
  if (service !== undefined) return isGranted(grants, 'look', env, service);
  return grants.some((grant) => grant.may.includes('look') && (grant.env?.includes(env) ?? true));
}

/** Whether the person may look at the service in any environment. */
export const maySeeService = (grants: readonly Grant[], service: string): boolean =>
  grants.some((grant) => grant.may.includes('look') && (grant.service?.includes(service) ?? true));

interface Inside {
  service?: string | undefined;
  env?: string | undefined;
}

/**
 * A function that leaves out of a JSON value whatever names an environment, or a service in one, that the person may not
 * look at: an object with `env`, and what stands inside it. Undefined when the value itself is out of sight. Undefined
 * instead of the function when the person may see everything: then one text goes to all.
 *
 * It knows no type of the API: what a new answer says of an environment is left out without anybody thinking of it.
 */
export function visibleTo(
  grants: readonly Grant[],
): (<T extends object>(value: T) => T | undefined) | undefined {
  const seesAll = grants.some(
    ({ may, env, service }) => may.includes('look') && env === undefined && service === undefined,
  );
  if (seesAll) return undefined;
  const see = (value: unknown, inside: Inside): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) {
      return value
        .map((one) => see(one, inside))
        .filter((one, i) => one !== undefined || value[i] === undefined);
    }
    const own = value as Readonly<Record<string, unknown>>;
    const service = typeof own.service === 'string' ? own.service : inside.service;
    const env = typeof own.env === 'string' ? own.env : inside.env;
    if (env !== undefined && !maySee(grants, env, service)) return undefined;
    const seen = Object.entries(own).map(([key, one]) => [key, shown(key, one, { service, env })] as const);
    return Object.fromEntries(seen.filter(([key, one]) => one !== undefined || own[key] === undefined));
  };
  const shown = (key: string, value: unknown, inside: Inside): unknown => {
    // The tags of an instance may be called `env` and `service`, and mean something else.
    if (key === 'tags') return value;
    // Where a version comes from, and what `promote` would bring from there.
    const from =
      key === 'promote' ? (value as { from?: unknown } | undefined)?.from : key === 'promotedFrom' && value;
    if (typeof from === 'string' && !maySee(grants, from, inside.service)) return undefined;
    return see(value, inside);
  };
  return <T extends object>(value: T) => see(value, {}) as T | undefined;
}
