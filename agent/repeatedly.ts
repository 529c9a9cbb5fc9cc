import { messageOf } from '../shared/errors.ts';
import type { Log } from '../shared/log.ts';
import { backoffMs, formatMs } from '../shared/retry.ts';
import type { Clock } from './deploy/ports.ts';

const BACKOFF = { first: 500, longest: 60_000 }; // ms

/** Runs `work` again after the ms it returns, or backs off when it fails, until `stopping` aborts. */
export async function repeatedly(
  { clock, log }: { clock: Clock; log: Log },
  stopping: AbortSignal,
  what: string,
  work: (signal: AbortSignal, round: number) => Promise<number>,
): Promise<void> {
  let failingSince = 0;
  for (let round = 0, failures = 0; !stopping.aborted; ) {
    let pause: number;
    try {
      pause = await work(stopping, round);
      round += 1;
      if (failures > 0) {
        const outageMs = Math.round(clock.monotonic() - failingSince);
        log.info({ failures, outageMs }, `${what} works again after ${formatMs(outageMs)}`);
      }
      failures = 0;
    } catch (error) {
      if (stopping.aborted) return;
      if (failures === 0) failingSince = clock.monotonic();
      pause = backoffMs(failures, BACKOFF);
      failures += 1;
      log.warn({ err: error, retryMs: pause }, `${what} failed: ${messageOf(error)}`);
    }
    await clock.sleep(pause, stopping).catch(() => undefined);
  }
}
