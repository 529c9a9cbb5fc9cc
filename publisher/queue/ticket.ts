import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Lock } from '../record/held-lock.ts';
import type { Reads } from '../record/reads.ts';

/** What a publisher needs to announce a deployment: the lock, and the id and the sequence of the deployment. */
export interface Ticket {
  deployment: string;
  sequence: number;
  lock: Lock;
  /** Written into the deployment record: the wait in the queue, and a pause that was ignored. */
  about?: Pick<DeploymentRecord, 'line' | 'despitePause'> | undefined;
  /** What was read under the lock; left out where the lock was taken without a ticket. */
  reads?: Reads | undefined;
}
