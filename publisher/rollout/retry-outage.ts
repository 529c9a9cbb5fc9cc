import { isCode } from '../../shared/errors.ts';
import { backoffMs, formatMs } from '../../shared/retry.ts';
import { note } from '../events.ts';
import type { Session } from '../session.ts';

/** The pauses between two tries, ms. */
const PAUSES = { first: 500, longest: 10_000 };

/**
 * Patience with AWS: what drives a rollout must not leave half of a fleet switched because S3 did not answer for a second.
 */
export interface Patience {
  /**
   * Does `work` again, which must be such that it can be, for as long as it fails with AWS_UNREACHABLE and `forMs` have
   * not passed since it first did; says so once.
   * @throws that error then, any other error at once, and the reason of `stop` when that aborts.
   */
  repeat<T>(work: () => Promise<T>): Promise<T>;
}

export function openPatience(session: Session, forMs: number, stop: AbortSignal): Patience {
  const { clock } = session;
  return {
    async repeat(work) {
      let since: number | undefined;
      for (let failures = 0; ; failures += 1) {
        try {
          return await work();
        } catch (error) {
          if (!isCode(error, 'AWS_UNREACHABLE')) throw error;
          if (since !== undefined && clock.monotonic() - since >= forMs) throw error;
          since ??= clock.monotonic();
          const text = `${error.message}; trying on, for ${formatMs(forMs)} at most`;
          if (failures === 0) note(session, text, 'warning');
          await clock.sleep(backoffMs(failures, PAUSES), stop);
        }
      }
    },
  };
}
