import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../shared/clock.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** A clock that only sleeping moves, without real waiting. */
export function sleepingClock(): Clock {
  let slept = 0;
  return {
    now: () => Date.now(),
    monotonic: () => slept,
    async sleep(ms, signal) {
      signal.throwIfAborted();
      slept += ms;
    },
  };
}

/** From here on a sleep is a limit of the engine, which must not run out while a test holds a call; ms. */
const LIMIT = 10_000;

/** The system's clock, but a pause takes 5 ms at most, and counts in full. */
export function hastyClock(): Clock {
  let skipped = 0;
  return {
    now: () => Date.now(),
    monotonic: () => performance.now() + skipped,
    async sleep(ms, signal) {
      if (ms >= LIMIT) return await sleep(ms, undefined, { signal });
      await sleep(Math.min(ms, 5), undefined, { signal });
      skipped += Math.max(0, ms - 5);
    },
  };
}

/**
 * A clock that moves only when it is advanced: sleepers then wake up, one after the other. `turns` of the event loop let
 * what each of them does come to its next sleep.
 */
export function heldClock(turns = 1): { clock: Clock; putForward: (ms: number) => Promise<void> } {
  let now = 0;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  return {
    clock: {
      now: () => now,
      monotonic: () => now,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const onAbort = () => {
            sleepers.delete(sleeper);
            reject(signal.reason);
          };
          const wake = () => {
            signal.removeEventListener('abort', onAbort);
            resolve();
          };
          const sleeper = { at: now + ms, wake };
          if (signal.aborted) return reject(signal.reason);
          signal.addEventListener('abort', onAbort, { once: true });
          sleepers.add(sleeper);
        }),
    },
    async putForward(ms) {
      const end = now + ms;
      for (;;) {
        for (let i = 0; i < turns; i += 1) await turn();
        const [next] = [...sleepers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!next) break;
        now = next.at;
        sleepers.delete(next);
        next.wake();
      }
      now = end;
    },
  };
}

/** Resolves when all pending work without timers, files and network is done. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A signal that never aborts. */
export const calm = new AbortController().signal;
