import { isCode } from '../../shared/errors.ts';
import { type RetryOptions, retry } from '../../shared/retry.ts';
import type { Objects } from './objects.ts';

export interface Swap<S extends { etag: string }, T> {
  key: string;
  /** What is stored now, undefined when nothing is. */
  read: () => Promise<S | undefined>;
  /** What follows from that: `body` is written unless it is left out. Whatever it throws ends the swap. */
  next: (stored: S | undefined) => Promise<{ body?: string; value: T }> | { body?: string; value: T };
  /** How many writes may meet that of another before CONDITION_FAILED is thrown; without a limit when left out. */
  attempts?: number;
  /** The pause after such a meeting; none when left out. */
  backoff?: Pick<RetryOptions, 'first' | 'longest' | 'clock'>;
}

/**
 * Reads, decides and writes, and does all of it again when another has written in between. A body must hold a fresh
 * `nonce()`. Returns what `next` came to at last, with the ETag where it was written.
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
