import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Lock } from '../record/held-lock.ts';

/** The right to announce a deployment: the lock, and the deployment's id with its sequence. */
export interface Ticket {
  deployment: string;
  sequence: number;
  lock: Lock;
  /** How the lock was acquired, for the record. */
  about?: Pick<DeploymentRecord, 'line' | 'despitePause'> | undefined;
}
