import type { DeploymentRecord } from '../record/deployment-schema.ts';

/**
 * Whether the deployment shows that its version works: it succeeded, on at least one instance. An older publisher could
 * record a success without such an instance. Pure.
 */
export const hasProved = ({ status, counts }: Pick<DeploymentRecord, 'status' | 'counts'>): boolean =>
  status === 'succeeded' && (counts?.succeeded ?? 0) > 0;
