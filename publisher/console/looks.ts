import { TriggerDeployError } from '../../shared/errors.ts';
import type { OverviewView } from './api.ts';
import type { Environments, Looks, OwnEvents } from './ports.ts';

export interface LooksOptions {
  environments: Environments;
  /** What the deployments that this console drives tell. */
  runs: OwnEvents;
  /** ms since the epoch. */
  now(): number;
  /** A clock that never jumps, ms. */
  monotonic(): number;
}

export interface OwnLooks extends Looks {
  /** Reads what this console has just changed, if somebody looks at it: a service, or without one the environment. */
  refresh(env: string, service?: string): void;
}

/** All that pages look at, over the connections of this console. */
export function openLooks({ environments, now }: LooksOptions): OwnLooks {
  const notYet = async (): Promise<never> => {
    throw new TriggerDeployError('INTERNAL', 'not there yet');
  };
  return {
    overview: () => async () => {
      const names = await environments.names();
      const view: OverviewView = { at: now(), environments: names.map((env) => ({ env })), cells: [] };
      return { snapshot: () => ({ type: 'overview', view }) };
    },
    service: () => notYet,
    deployment: () => notYet,
    history: notYet,
    standing: notYet,
    find: notYet,
    report: notYet,
    rollCall: notYet,
    refresh: () => undefined,
  };
}
