import type { RolloutOptions } from '../../../publisher/rollout/start.ts';
import { never } from './stage.ts';

/** To all instances at once, followed to the end; every failure and every silent instance counts. */
export const ALL_AT_ONCE: RolloutOptions = {
  strategy: { name: 'all' },
  wait: true,
  timeoutMs: 20_000,
  allowMissing: 0,
  maxFailures: 0,
  onFailure: 'rollback',
  detach: never(),
};
