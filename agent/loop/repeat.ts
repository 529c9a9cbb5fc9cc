import type { Clock } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { backoffMs, formatMs } from '../../shared/retry.ts';

const BACKOFF = { first: 500, longest: 60_000 }; // ms
/** The same failure is logged as a warning again after this, ms. */
const WARN_AGAIN_AFTER = 10 * 60_000;

/** Runs `work` again after the ms it returns, or backs off when it fails, until `stopping` aborts. Never throws. */
export async function repeat(
  { clock, log }: { clock: Clock; log: Log },
  stopping: AbortSignal,
  what: string,
  work: (signal: AbortSignal, round: number) => Promise<number>,
): Promise<void> {
  let failingSince = 0;
  let lastWarning = '';
  let warnedAt = 0;
  for (let round = 0, failures = 0; !stopping.aborted; ) {
    let pauseMs: number;
    try {
      pauseMs = await work(stopping, round);
      round += 1;
      if (failures > 0) {
        const outageMs = Math.round(clock.monotonic() - failingSince);
        lastWarning = '';
        log.info({ failures, outageMs }, `${what} works again after ${formatMs(outageMs)}`);
      }
      failures = 0;
    } catch (error) {
      if (stopping.aborted) return;
      if (failures === 0) failingSince = clock.monotonic();
      pauseMs = backoffMs(failures, BACKOFF);
      failures += 1;
      const message = messageOf(error);
      const isNews = message !== lastWarning || clock.monotonic() - warnedAt > WARN_AGAIN_AFTER;
      if (isNews) [lastWarning, warnedAt] = [message, clock.monotonic()];
      log[isNews ? 'warn' : 'debug'](
        { err: error, retryMs: pauseMs, failures },
        `${what} failed: ${message}`,
      );
    }
    await clock.sleep(pauseMs, stopping).catch(() => undefined);
  }
}
