import { sleepUnlessAborted } from './abort.ts';
import { type Clock, createClock } from './clock.ts';
import { TriggerDeployError } from './errors.ts';

export interface Backoff {
  /** The first pause, ms. */
  first: number;
  /** No pause is longer, ms. */
  longest: number;
}

/**
 * The pause before try `attempt` (0 is the first pause), ms: exponential with equal jitter, so that a
 * thousand agents do not retry in step.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(attempt: number, { first, longest }: Backoff, random = Math.random): number {
  const ceiling = Math.min(longest, first * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + random() * (ceiling / 2));
}

export interface RetryOptions extends Backoff {
  signal: AbortSignal;
  /** Whether this error may pass by itself; any other is thrown at once. */
  retryable: (error: unknown) => boolean;
  /** How many failures in a row end it; no limit when left out. */
  attempts?: number;
  /** No retry once this much time has passed since the first failure, ms; no limit when left out. */
  forMs?: number;
  /** The machine's own clock when left out. */
  clock?: Pick<Clock, 'monotonic' | 'sleep'>;
  /** The pause after this error, ms, where it is not the backoff's. */
  pauseMs?: (error: unknown) => number | undefined;
  /**
   * Asked after a failure: true when that try got further than the one before, so that the count of failures starts
   * again.
   */
  hasProgressed?: () => boolean;
  /** Called before each pause. `failures` counts those in a row, from 1. */
  onRetry?: (error: unknown, retry: { failures: number; pauseMs: number }) => void;
  /** Makes the first try even when `signal` has aborted before it. */
  alwaysTryOnce?: boolean;
}

/**
 * Runs `work` until it succeeds; the first try is `attempt` 0. Throws the last error once `attempts` or `forMs` are
 * used up or `signal` aborts during a try, and the signal's reason when it aborts between two tries.
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
 * A signal that aborts with `parent` or after `ms`, whichever is first. Dispose of it (`using`) so that its
 * timer does not outlive the wait.
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
 * What `work` resolves to, for work that no signal ends: after `ms` it is no longer waited for.
 * @throws TIMEOUT then, and what `work` throws.
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

/** `800 ms`, `4.2 s`, `3 min 20 s`: a duration for a person. */
export function formatMs(ms: number): string {
  // The bounds are those of the rounded number: never `1000 ms`, `10.0 s`, `60 s` or `1 min 60 s`.
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_500) return `${(ms / 1000).toFixed(ms < 9950 ? 1 : 0)} s`;
  const whole = Math.round(ms / 1000);
  const minutes = Math.floor(whole / 60);
  const seconds = whole % 60;
  return seconds === 0 ? `${minutes} min` : `${minutes} min ${seconds} s`;
}
