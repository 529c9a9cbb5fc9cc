import { sleepUnlessAborted } from './abort.ts';
import { type Clock, createClock } from './clock.ts';
import { formatMs } from './duration.ts';
import { TriggerDeployError } from './errors.ts';

export interface Backoff {
  /** The first pause, ms. */
  first: number;
  /** The longest pause, ms. */
  longest: number;
}

/**
 * The pause after failure number `attempt`, counted from 0, ms. It grows exponentially up to `longest`. It is then
 * shortened at random, by half at most (equal jitter), so that a thousand agents do not retry at the same time.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(attempt: number, { first, longest }: Backoff, random = Math.random): number {
  const ceiling = Math.min(longest, first * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + random() * (ceiling / 2));
}

export interface RetryOptions extends Backoff {
  signal: AbortSignal;
  /** Whether a later try may succeed after this error. If not, the error is thrown at once. */
  retryable: (error: unknown) => boolean;
  /** After this many failures in a row the last error is thrown; no limit when left out. */
  attempts?: number;
  /** An error this long after the first one is thrown, ms; no limit when left out. */
  forMs?: number;
  /** The machine's own clock when left out. */
  clock?: Pick<Clock, 'monotonic' | 'sleep'>;
  /** The pause after this error, ms. If it is undefined, the backoff decides. */
  pauseMs?: (error: unknown) => number | undefined;
  /**
   * Called after a failure. It returns true if the failed try made progress: then the count of failures starts again
   * at 0.
   */
  hasProgressed?: () => boolean;
  /** Called before each pause. `failures` is the number of failures in a row; 0 after progress. */
  onRetry?: (error: unknown, retry: { failures: number; pauseMs: number }) => void;
  /** Makes the first try even when `signal` has aborted before it. */
  alwaysTryOnce?: boolean;
}

/**
 * Runs `work` until it succeeds; the first try is `attempt` 0.
 * @throws the last error when it is not retryable, when `attempts` or `forMs` are used up, or when `signal` aborts
 * during a try; the reason of `signal` when it aborts before a try.
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, attempts = Number.POSITIVE_INFINITY, forMs = Number.POSITIVE_INFINITY } = options;
  const clock = options.clock ?? createClock(Date.now);
  if (!options.alwaysTryOnce) signal.throwIfAborted();
  let firstFailure: number | undefined;
  let failures = 0;
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      failures = options.hasProgressed?.() ? 0 : failures + 1;
      const isLate = firstFailure !== undefined && clock.monotonic() - firstFailure >= forMs;
      if (signal.aborted || failures >= attempts || isLate || !options.retryable(error)) throw error;
      firstFailure ??= clock.monotonic();
      const pauseMs = options.pauseMs?.(error) ?? backoffMs(Math.max(0, failures - 1), options);
      options.onRetry?.(error, { failures, pauseMs });
      if (pauseMs > 0) await sleepUnlessAborted(pauseMs, signal, clock);
    }
  }
}

/**
 * A signal that aborts with `parent`, or after `ms` with the error TIMEOUT, whichever is first. `expired` tells
 * whether the time ran out. Dispose of the result (`using`), so that its timer ends with the wait.
 */
export function deadline(
  ms: number,
  parent: AbortSignal,
  what: string,
): { signal: AbortSignal; expired: () => boolean } & Disposable {
  const controller = new AbortController();
  let expired = false;
  const onParent = () => controller.abort(parent.reason);
  const timer = setTimeout(() => {
    expired = true;
    controller.abort(new TriggerDeployError('TIMEOUT', `${what} took longer than ${formatMs(ms)}`));
  }, ms);
  if (parent.aborted) onParent();
  else parent.addEventListener('abort', onParent, { once: true });
  return {
    signal: controller.signal,
    expired: () => expired,
    [Symbol.dispose]() {
      clearTimeout(timer);
      parent.removeEventListener('abort', onParent);
    },
  };
}

/**
 * Waits at most `ms` for `work`, which no signal can end: after that time it continues, but nothing waits for it.
 * @throws TIMEOUT after `ms`, and what `work` throws.
 */
export async function withTimeout<T>(ms: number, work: () => Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new TriggerDeployError('TIMEOUT', `no answer within ${formatMs(ms)}`)),
    ms,
  );
  try {
    return await Promise.race([work(), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
