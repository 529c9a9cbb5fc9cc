import * as z from 'zod';
import { notice } from './notice.ts';

/** What the agent has to know of the life of its instance after it was restarted, beside the journals of the services. */
export const lifeState = z.looseObject({
  v: z.literal(1),
  instance: z.string(),
  bootId: z.string(),
  notice: notice.nullable(),
  /** Whether the instance leaves its environment: it must not create its queue again. */
  leaving: z.boolean(),
  /** Whether the queue and its subscription are removed, and the record says so. */
  left: z.boolean(),
  /** Whether the lifecycle action of the end is completed. */
  completed: z.boolean(),
  /** Whether its Auto Scaling group had the instance in service since it booted. */
  wasInService: z.boolean(),
  /** Whether the group has the instance in its warm pool, or on the way to it. */
  pooled: z.boolean(),
  /** Since when the launch waits until all services have converged, ms since the epoch; null when that is over. */
  launchingSince: z.number().nullable(),
});
export type LifeState = z.infer<typeof lifeState>;

/**
 * The state to start with. The notice of an earlier boot is over: the instance was stopped, and has come back. So is
 * everything in an image that was made of another instance.
 */
export function lifeAtStart(
  loaded: LifeState | undefined,
  here: { instance: string; bootId: string; now: number },
): LifeState {
  const { instance, bootId, now } = here;
  if (loaded && loaded.instance === instance && loaded.bootId === bootId) return loaded;
  return {
    ...{ v: 1, instance, bootId, notice: null, leaving: false, left: false, completed: false },
    ...{ wasInService: false, pooled: false, launchingSince: now },
  };
}
