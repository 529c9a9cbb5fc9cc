import type { Clock } from '../../shared/clock.ts';
import { formatMs } from '../../shared/duration.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { type RetryOptions, retry } from '../../shared/retry.ts';

const BACKOFF = { first: 500, longest: 60_000 }; // ms
/** After this time, ms, the same failure is logged as a warning again. Until then it is logged at debug level. */
const WARN_AGAIN_AFTER = 10 * 60_000;

export interface RepeatParts {
  clock: Clock;
  log: Log;
}

/** `ms`, a fifth more or less: a thousand agents that started together must not ask together. */
export const withJitter = (ms: number) => ms * (0.8 + 0.4 * Math.random());

/**
 * Runs `work` again and again until `stopping` aborts. `work` returns the pause before the next round, ms. A failure is
 * retried with backoff. Never throws.
 */
export async function repeat(
  { clock, log }: RepeatParts,
  stopping: AbortSignal,
  what: string,
  work: (signal: AbortSignal, round: number) => Promise<number>,
): Promise<void> {
  let lastWarning = '';
  let warnedAt = 0;
  for (let round = 0; !stopping.aborted; round += 1) {
    let failingSince = 0;
    let failed = 0;
    const onRetry: RetryOptions['onRetry'] = (error, { failures, pauseMs }) => {
      if (failures === 1) failingSince = clock.monotonic();
      failed = failures;
      const message = messageOf(error);
      const isNews = message !== lastWarning || clock.monotonic() - warnedAt > WARN_AGAIN_AFTER;
      if (isNews) [lastWarning, warnedAt] = [message, clock.monotonic()];
      log[isNews ? 'warn' : 'debug'](
        { err: error, retryMs: pauseMs, failures },
        `${what} failed: ${message}`,
      );
    };
    const options = { ...BACKOFF, clock, signal: stopping, retryable: () => true, onRetry };
    try {
      const pauseMs = await retry(() => work(stopping, round), options);
      if (failed > 0) {
        const outageMs = Math.round(clock.monotonic() - failingSince);
        lastWarning = '';
        log.info({ failures: failed, outageMs }, `${what} works again after ${formatMs(outageMs)}`);
      }
      await clock.sleep(pauseMs, stopping);
    } catch (error) {
      if (!stopping.aborted) throw error;
    }
  }
}
