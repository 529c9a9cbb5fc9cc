import type { LiveMessage } from './api.ts';
import { type Grant, isGranted } from './permissions.ts';

/** What a person may see of what all pages share. Pure. */

/** Whether the person may look at the service there, or at anything of the environment. */
export function maySee(grants: readonly Grant[], env: string, service?: string): boolean {
  if (service !== undefined) return isGranted(grants, 'look', env, service);
  return grants.some((grant) => grant.may.includes('look') && (grant.env?.includes(env) ?? true));
}

/** Undefined when the person may see everything: then one text goes to all. */
export function visibleTo(
  grants: readonly Grant[],
): ((message: LiveMessage) => LiveMessage | undefined) | undefined {
  const seesAll = grants.some(
    ({ may, env, service }) => may.includes('look') && env === undefined && service === undefined,
  );
  if (seesAll) return undefined;
  const see = ({ env, service }: { env?: string; service?: string }) =>
    env !== undefined && maySee(grants, env, service);
  return (message) => {
    switch (message.type) {
      case 'overview': {
        const { environments, cells } = message.view;
        const view = { ...message.view, environments: environments.filter(see), cells: cells.filter(see) };
        return { ...message, view };
      }
      case 'cells':
        return { ...message, cells: message.cells.filter(see), gone: message.gone.filter(see) };
      case 'environments':
        return { ...message, environments: message.environments.filter(see) };
      case 'service': {
        const { lanes, versions, service } = message.view;
        const places = versions.map((one) => ({
          ...one,
          places: one.places.filter(({ env }) => maySee(grants, env, service)),
        }));
        return { ...message, view: { ...message.view, lanes: lanes.filter(see), versions: places } };
      }
      case 'runs':
        return { ...message, runs: message.runs.filter(see) };
      // Whether the person may see a deployment is decided when its stream is opened.
      default:
        return message;
    }
  };
}
