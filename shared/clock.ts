import { setTimeout as wait } from 'node:timers/promises';

/** The clock of both programs: a test can stop it, or let it run faster. */
export interface Clock {
  /** Wall time by AWS's clock, ms since the epoch: for expiry, and for what people read. */
  now(): number;
  /** A clock that never jumps, ms: for deadlines and durations. */
  monotonic(): number;
  /** Resolves after `ms`; rejects when `signal` aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

/** The clock of this machine, with the wall time that `now` returns: usually the time by AWS's clock. */
export function createClock(now: () => number): Clock {
  return {
    now,
    monotonic: () => performance.now(),
    sleep: (ms, signal) => wait(ms, undefined, { signal }),
  };
}
