import { isCode } from '../../shared/errors.ts';
import { type RetryOptions, retry } from '../../shared/retry.ts';
import type { Objects } from './objects.ts';

/** What `compareAndSwap` needs: which object, and how to read it and decide what to write. */
export interface Swap<S extends { etag: string }, T> {
  key: string;
  /** Reads the stored value; undefined when there is none. */
  read: () => Promise<S | undefined>;
  /** Decides what to write: `body`, or nothing when it is left out. An error that it throws ends the swap. */
  next: (stored: S | undefined) => Promise<{ body?: string; value: T }> | { body?: string; value: T };
  /** How many writes may conflict with another writer before CONDITION_FAILED is thrown; no limit when left out. */
  attempts?: number;
  /** The pause after a conflict; none when left out. */
  backoff?: Pick<RetryOptions, 'first' | 'longest' | 'clock'>;
}

/**
 * Reads, decides and writes; starts over when another writer wrote in between. A body must hold a fresh `nonce()`.
 * Returns the last value of `next`, and the ETag if a body was written.
 * @throws CONDITION_FAILED once `attempts` are used up; what `read`, `next` and the write throw.
 */
export async function compareAndSwap<S extends { etag: string }, T>(
  objects: Pick<Objects, 'putNew' | 'putIf'>,
  { key, read, next, attempts, backoff }: Swap<S, T>,
): Promise<{ value: T; etag: string | undefined }> {
  const { signal } = new AbortController();
  return await retry(
    async () => {
      const stored = await read();
      const { body, value } = await next(stored);
      if (body === undefined) return { value, etag: undefined };
      const etag = await (stored ? objects.putIf(key, body, stored.etag) : objects.putNew(key, body));
      return { value, etag };
    },
    {
      ...(backoff ?? { first: 0, longest: 0 }),
      ...(attempts !== undefined && { attempts }),
      signal,
      retryable: (error) => isCode(error, 'CONDITION_FAILED'),
    },
  );
}
