import { type Clock, createClock } from './clock.ts';

/** Waits that end when a signal aborts: with the signal's own reason, and without a listener left on it. */

/** Waits `ms`. @throws the signal's reason when it aborts before or in the wait. */
export async function sleepUnlessAborted(
  ms: number,
  signal: AbortSignal,
  clock: Pick<Clock, 'sleep'> = createClock(Date.now),
): Promise<void> {
  signal.throwIfAborted();
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
  signal.throwIfAborted();
}

/** The result of `promise`, or the signal's reason if that aborts first; the work itself is not stopped. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
