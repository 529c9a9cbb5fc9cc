import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { Notifier } from './ports.ts';

/** A loop without progress for this time, ms, has stalled. In a healthy loop, a poll takes 20 s and a backoff 1 min. */
const STALLED_AFTER = 5 * 60 * 1000;

/**
 * Pings systemd's watchdog while the main loop makes progress, until `stopping` aborts. `lastRound` returns when the
 * loop last made progress, on the monotonic clock, ms.
 */
export async function pingWatchdog(
  parts: { notifier: Pick<Notifier, 'watchdog' | 'watchdogMs'>; clock: Clock; log: Log },
  lastRound: () => number,
  stopping: AbortSignal,
): Promise<void> {
  const { notifier, clock, log } = parts;
  if (notifier.watchdogMs === undefined) return;
  while (!stopping.aborted) {
    if (clock.monotonic() - lastRound() < STALLED_AFTER) notifier.watchdog();
    else log.fatal('main loop stalled; no longer pinging the watchdog');
    await clock.sleep(notifier.watchdogMs / 3, stopping).catch(() => undefined);
  }
}
