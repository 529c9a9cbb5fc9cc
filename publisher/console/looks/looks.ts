import type { Environments, Looks, OwnEvents } from '../ports.ts';
import { type FleetLooks, openFleetLooks } from './fleet-looks.ts';
import { openDeploymentLook } from './look-deployment.ts';
import { openHistoryLooks } from './look-history.ts';
import { openReportLooks } from './look-report.ts';

export interface LooksOptions {
  environments: Environments;
  /** What the deployments that this console drives tell. */
  runs: OwnEvents;
}

/** All that pages look at, over the connections of this console. */
export function openLooks({ environments, runs }: LooksOptions): Looks & FleetLooks {
  return {
    ...openFleetLooks(environments),
    deployment: ({ env, ...place }) => openDeploymentLook(() => environments.look(env), place, runs),
    ...openHistoryLooks(environments),
    ...openReportLooks(environments),
  };
}
