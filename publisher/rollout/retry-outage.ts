import { formatMs } from '../../shared/duration.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import { retry } from '../../shared/retry.ts';
import { note } from '../events.ts';
import type { Output } from './driving.ts';

/** The pauses between two tries, ms. */
const PAUSES = { first: 500, longest: 10_000 };

/**
 * A function that runs `work`, and runs it again while it fails with AWS_UNREACHABLE, for a limited time after the
 * first failure. A short outage of AWS must not stop a rollout halfway. `work` must be safe to repeat.
 * @throws AWS_UNREACHABLE after that time; any other error at once; the reason of the signal when it aborts in a pause.
 */
export type RetryOutage = <T>(work: () => Promise<T>) => Promise<T>;

/** @param forMs how long to retry after the first failure, ms. */
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
