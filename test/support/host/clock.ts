import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../shared/clock.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms, signal) => sleep(ms, undefined, { signal }),
};

/** A clock that nothing but sleeping moves on, and that does not wait: what takes its time takes none of it. */
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

/** A clock that stands still unless it is put forward: then who sleeps wakes up, one after the other. */
export function heldClock(): { clock: Clock; putForward: (ms: number) => Promise<void> } {
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
        await turn();
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

/** All that can happen without a timer, a file or the network has happened when it resolves. */
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A signal that never aborts. */
export const calm = new AbortController().signal;
