import type { Clock } from './clock.ts';

/**
 * Wakes a loop that waits for events. A wake-up that comes while nothing waits is kept for the next wait, so that an
 * event between a check and the wait is not missed; several kept wake-ups count as one.
 */
export interface WakeUp {
  wake(): void;
  /** Drops a kept wake-up, when the caller is about to check for events anyway. */
  clear(): void;
  /**
   * Resolves at once if a wake-up was kept; otherwise at the next wake-up, when `signal` aborts, or after `timer.ms`,
   * whichever is first. It never rejects, and it leaves no timer and no listener behind.
   */
  wait(signal: AbortSignal, timer?: { clock: Pick<Clock, 'sleep'>; ms: number }): Promise<void>;
}

export function createWakeUp(): WakeUp {
  const waiters = new Set<() => void>();
  let isPending = false;
  return {
    wake() {
      isPending = waiters.size === 0;
      for (const resolve of waiters) resolve();
      waiters.clear();
    },
    clear() {
      isPending = false;
    },
    async wait(signal, timer) {
      if (isPending || signal.aborted) {
        isPending = false;
        return;
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const onAbort = () => resolve();
      waiters.add(resolve);
      signal.addEventListener('abort', onAbort, { once: true });
      const over = new AbortController();
      timer?.clock.sleep(timer.ms, over.signal).then(resolve, onAbort);
      try {
        await promise;
      } finally {
        waiters.delete(resolve);
        signal.removeEventListener('abort', onAbort);
        over.abort();
      }
    },
  };
}
