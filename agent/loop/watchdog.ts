import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { Notifier } from './ports.ts';

/** Longer than any round of a healthy loop: a poll lasts 20 s, a back-off a minute at most. ms */
const STALLED_AFTER = 5 * 60 * 1000;

/**
 * Pings systemd's watchdog while the main loop makes progress, until `stopping` aborts. `lastRound` returns when its
 * last round began, on the monotonic clock, ms.
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
