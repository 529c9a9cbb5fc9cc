import type { Desired } from '../../shared/desired.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { begun } from './begun.ts';
import type { Deployments } from './deployments.ts';
import type { DesiredStates } from './desired-state.ts';
import type { StoredValue } from './objects.ts';
import type { StoredDeployment } from './signed-deployments.ts';

/** What a change of a service has to know before it is recorded. The reads run at the same time. */
export interface Reads {
  recent: Promise<StoredDeployment[]>;
  desired: Promise<StoredValue<Desired> | undefined>;
  instances: Promise<InstanceRecord[]>;
}

/** Begins the reads. A failure is thrown where the result is awaited, and nowhere else. */
export function beginReads(
  { deployments, desired }: { deployments: Deployments; desired: DesiredStates },
  service: string,
): Reads {
  return {
    recent: begun(deployments.recent(service)),
    desired: begun(desired.read(service)),
    instances: begun(deployments.instances(service)),
  };
}
