import type { Clock } from '../../shared/clock.ts';

/** Waits until the next call may be made. @throws the reason of `signal` after it aborts. */
export type Pace = (signal: AbortSignal) => Promise<void>;

/**
 * Lets through `perSecond` calls a second, one after the other: quotas of AWS are for the account and the region, and the
 * agents use them, too.
 */
export function createPace(clock: Pick<Clock, 'monotonic' | 'sleep'>, perSecond: number): Pace {
  let next = Number.NEGATIVE_INFINITY;
  return async (signal) => {
    signal.throwIfAborted();
    const now = clock.monotonic();
    const at = Math.max(now, next);
    next = at + 1000 / perSecond;
    if (at > now) await clock.sleep(at - now, signal);
  };
}
