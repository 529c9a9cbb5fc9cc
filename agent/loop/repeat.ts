import type { Clock } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { backoffMs, formatMs } from '../../shared/retry.ts';

const BACKOFF = { first: 500, longest: 60_000 }; // ms
/** The same failure again is news after this, ms. */
const TELL_AGAIN_AFTER = 10 * 60_000;

/** Runs `work` again after the ms it returns, or backs off when it fails, until `stopping` aborts. */
export async function repeatedly(
  { clock, log }: { clock: Clock; log: Log },
  stopping: AbortSignal,
  what: string,
  work: (signal: AbortSignal, round: number) => Promise<number>,
): Promise<void> {
  let failingSince = 0;
  let told = '';
  let toldAt = 0;
  for (let round = 0, failures = 0; !stopping.aborted; ) {
    let pause: number;
    try {
      pause = await work(stopping, round);
      round += 1;
      if (failures > 0) {
        const outageMs = Math.round(clock.monotonic() - failingSince);
        told = '';
        log.info({ failures, outageMs }, `${what} works again after ${formatMs(outageMs)}`);
      }
      failures = 0;
    } catch (error) {
      if (stopping.aborted) return;
      if (failures === 0) failingSince = clock.monotonic();
      pause = backoffMs(failures, BACKOFF);
      failures += 1;
      const said = messageOf(error);
      const isNews = said !== told || clock.monotonic() - toldAt > TELL_AGAIN_AFTER;
      if (isNews) [told, toldAt] = [said, clock.monotonic()];
      log[isNews ? 'warn' : 'debug']({ err: error, retryMs: pause, failures }, `${what} failed: ${said}`);
    }
    await clock.sleep(pause, stopping).catch(() => undefined);
  }
}
