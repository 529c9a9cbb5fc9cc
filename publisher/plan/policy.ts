import type { Policy } from '../record/deployment-schema.ts';
import type { Size } from './waves.ts';

/** The policy as the command line gives it. `maxFailures` can be a percentage of the instances. */
export interface PolicyOptions {
  timeoutMs: number;
  allowMissing: number;
  maxFailures: Size | 0;
  onFailure: Policy['onFailure'];
}

/** The policy of a deployment to `instances` instances. */
export function policyOf(options: PolicyOptions, instances: number): Policy {
  const { timeoutMs, allowMissing, onFailure } = options;
  return { allowMissing, maxFailures: mostFailures(options.maxFailures, instances), onFailure, timeoutMs };
}

/** How many instances may fail; a percentage is rounded down. */
export function mostFailures(allowed: Size | 0, instances: number): number {
  if (allowed === 0) return 0;
  return 'count' in allowed ? allowed.count : Math.floor((instances * allowed.percent) / 100);
}
