import type { Clock } from '../../shared/clock.ts';

/** Work that does not end when it should is left: nothing waits for it any more. The work itself cannot be ended. */

/** How long work may take to answer an abort, ms. A command that is ended gets 5 s from TERM to KILL. */
export const ANSWERS_WITHIN = 10_000;

type Wait = Pick<Clock, 'monotonic' | 'sleep'>;

/**
 * Settles as `work` does, unless `due` resolves first: then throws what it resolves to. `due` gets a signal that aborts
 * when the work has settled; it may reject then.
 */
export async function orLeft<T>(work: Promise<T>, due: (settled: AbortSignal) => Promise<Error>): Promise<T> {
  const settled = new AbortController();
  const left = Promise.withResolvers<never>();
  due(settled.signal).then(left.reject, () => {});
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    settled.abort();
    // Work that was left may still reject.
    work.catch(() => {});
  }
}

/** Settles as `work` does. After `ms` without an answer, throws what `late` returns; the work is then left. */
export async function within<T>(
  clock: Wait,
  ms: number,
  work: () => Promise<T>,
  late: () => Error,
): Promise<T> {
  const end = clock.monotonic() + ms;
  return await orLeft(work(), async (settled) => {
    await untilTime(clock, () => end, settled);
    return late();
  });
}

/**
 * Waits until the monotonic time `end`, ms, which may move meanwhile. @throws when `signal` aborts, or when the clock
 * cannot sleep.
 */
export async function untilTime(clock: Wait, end: () => number, signal: AbortSignal): Promise<void> {
  for (;;) {
    const left = end() - clock.monotonic();
    if (left <= 0) return;
    await clock.sleep(Math.min(left, LONGEST_SLEEP), signal);
  }
}

/** A moved end is noticed after this time, ms. */
const LONGEST_SLEEP = 60_000;

/** Resolves when `signal` aborts. @throws the reason of `settled` when it aborts first. */
export async function aborted(signal: AbortSignal, settled: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  settled.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => resolve();
  const onSettled = () => reject(settled.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  settled.addEventListener('abort', onSettled, { once: true });
  try {
    await promise;
  } finally {
    signal.removeEventListener('abort', onAbort);
    settled.removeEventListener('abort', onSettled);
  }
}
