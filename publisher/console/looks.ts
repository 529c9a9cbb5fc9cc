import { TriggerDeployError } from '../../shared/errors.ts';
import { openFleetLooks } from './fleet-looks.ts';
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
export function openLooks({ environments }: LooksOptions): OwnLooks {
  const fleet = openFleetLooks(environments);
  const notYet = async (): Promise<never> => {
    throw new TriggerDeployError('INTERNAL', 'not there yet');
  };
  return {
    ...fleet,
    deployment: () => notYet,
    history: notYet,
    standing: notYet,
    find: notYet,
    report: notYet,
  };
}
