import { isCode, messageOf } from '../../shared/errors.ts';
import { formatMs, retry } from '../../shared/retry.ts';
import { note } from '../events.ts';
import type { Output } from './driving.ts';

/** The pauses between two tries, ms. */
const PAUSES = { first: 500, longest: 10_000 };

/**
 * Retries `work`, which can be repeated, while it fails with AWS_UNREACHABLE, for a limited time after the first
 * failure: S3 that does not answer for a second must not leave half of the instances on the new version.
 * @throws that error after the time, any other error at once, and the reason of the signal when that aborts.
 */
export type RetryOutage = <T>(work: () => Promise<T>) => Promise<T>;

/** @param forMs how long, ms. */
export function openRetryOutage(output: Output, forMs: number, signal: AbortSignal): RetryOutage {
  return async (work) =>
    await retry(work, {
      ...PAUSES,
      ...{ forMs, signal, clock: output.clock, alwaysTryOnce: true },
      retryable: (error) => isCode(error, 'AWS_UNREACHABLE'),
      onRetry(error, { failures }) {
        const text = `${messageOf(error)}; retrying for up to ${formatMs(forMs)}`;
        if (failures === 1) note(output, text, 'warning');
      },
    });
}
