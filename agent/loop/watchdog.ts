import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';

/** No loop of the agent's is longer without a round: a poll lasts 20 s, a back-off a minute at most. ms */
const STUCK_AFTER = 5 * 60 * 1000;

/**
 * Feeds systemd's watchdog as long as a loop goes round, until `stopping` aborts. `lastRound` says when it last
 * did, on the monotonic clock, ms.
 */
export async function feedWatchdog(
  parts: {
    notifier: { watchdog(): void; readonly watchdogMs: number | undefined };
    clock: Clock;
    log: Log;
  },
  lastRound: () => number,
  stopping: AbortSignal,
): Promise<void> {
  const { notifier, clock, log } = parts;
  if (notifier.watchdogMs === undefined) return;
  while (!stopping.aborted) {
    if (clock.monotonic() - lastRound() < STUCK_AFTER) notifier.watchdog();
    else log.fatal('the loop makes no progress: the watchdog is fed no more');
    await clock.sleep(notifier.watchdogMs / 3, stopping).catch(() => undefined);
  }
}
