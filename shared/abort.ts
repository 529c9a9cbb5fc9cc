import { type Clock, createClock } from './clock.ts';

/** Waits that end early when a signal aborts. They throw the signal's reason and leave no listener on the signal. */

/** The signal of a wait that nothing ends early. */
export const NEVER = new AbortController().signal;

/** Waits `ms`. @throws the reason of `signal` when it aborts before or during the wait. */
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

/** Settles as `promise` does. @throws the reason of `signal` when it aborts first; the work itself continues. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // The work may fail later, when nobody waits for it.
    promise.catch(() => {});
    throw signal.reason;
  }
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/**
 * A controller that `parent` aborts too, until `release`. Use it in place of AbortSignal.any for work that ends long
 * before `parent` does: whatever stays attached to its signal is freed with it, and nothing stays on `parent`.
 */
export function childController(parent: AbortSignal): { controller: AbortController; release(): void } {
  const controller = new AbortController();
  const onAbort = () => controller.abort(parent.reason);
  parent.addEventListener('abort', onAbort, { once: true });
  if (parent.aborted) onAbort();
  return { controller, release: () => parent.removeEventListener('abort', onAbort) };
}
