import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { Identity } from '../deploy/ports.ts';
import type { Notifier } from './agent.ts';
import { repeatedly } from './repeat.ts';
import { feedWatchdog } from './watchdog.ts';

/**
 * Who this instance is; undefined when `stopping` aborted before that was known. Without metadata the agent waits,
 * ready: what is ordered after it must boot, and a restart would not help.
 */
export async function identifyPatiently(
  identify: (signal: AbortSignal) => Promise<Identity>,
  parts: { notifier: Notifier; clock: Clock; log: Log },
  stopping: AbortSignal,
): Promise<Identity | undefined> {
  const { notifier, clock } = parts;
  let identity: Identity | undefined;
  let lastTry = clock.monotonic();
  let feeding: Promise<void> | undefined;
  const over = new AbortController();
  const waiting = AbortSignal.any([stopping, over.signal]);
  await repeatedly(parts, waiting, 'reading the instance metadata', async (signal) => {
    lastTry = clock.monotonic();
    try {
      identity = await identify(signal);
    } catch (error) {
      await notifier.ready();
      notifier.status('waiting for the instance metadata');
      // From READY on systemd watches.
      feeding ??= feedWatchdog(parts, () => lastTry, waiting);
      throw error;
    }
    over.abort();
    return 0;
  });
  await feeding;
  return identity;
}
