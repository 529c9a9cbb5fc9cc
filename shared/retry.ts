import { setTimeout as sleep } from 'node:timers/promises';
import { TriggerDeployError } from './errors.ts';

export interface Backoff {
  /** The first pause, ms. */
  first: number;
  /** No pause is longer, ms. */
  longest: number;
}

/**
 * The pause before try `attempt` (0 is the first pause), ms: exponential with equal jitter, so that a
 * thousand agents do not come back in step.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function backoffMs(attempt: number, { first, longest }: Backoff, random = Math.random): number {
  const ceiling = Math.min(longest, first * 2 ** Math.min(attempt, 30));
  return Math.round(ceiling / 2 + random() * (ceiling / 2));
}

export interface RetryOptions extends Backoff {
  attempts: number;
  signal: AbortSignal;
  /** Whether this error may pass by itself; the others are thrown at once. */
  retryable: (error: unknown) => boolean;
}

/**
 * Runs `work` until it succeeds, the tries are used up, or `signal` aborts; throws the last error, or the
 * signal's reason where it aborts between two tries.
 */
export async function retry<T>(work: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  options.signal.throwIfAborted();
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      if (options.signal.aborted || attempt + 1 >= options.attempts || !options.retryable(error)) throw error;
      await sleep(backoffMs(attempt, options), undefined, { signal: options.signal }).catch(() =>
        options.signal.throwIfAborted(),
      );
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
