import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import type { Identity } from '../deploy/ports.ts';
import type { Notifier } from './ports.ts';
import { repeat } from './repeat.ts';
import { pingWatchdog } from './watchdog.ts';

/**
 * Resolves to the identity of this instance, or to undefined if `stopping` aborts first. If the metadata cannot be
 * read, the agent reports READY and retries: units that are ordered after it must start, and a restart would not help.
 */
export async function awaitIdentity(
  identify: (signal: AbortSignal) => Promise<Identity>,
  parts: { notifier: Notifier; clock: Clock; log: Log },
  stopping: AbortSignal,
): Promise<Identity | undefined> {
  const { notifier, clock } = parts;
  let identity: Identity | undefined;
  let lastTry = clock.monotonic();
  let pinging: Promise<void> | undefined;
  const found = new AbortController();
  const waiting = AbortSignal.any([stopping, found.signal]);
  await repeat(parts, waiting, 'reading the instance metadata', async (signal) => {
    lastTry = clock.monotonic();
    try {
      identity = await identify(signal);
    } catch (error) {
      await notifier.ready();
      notifier.status('waiting for the instance metadata');
      // After READY, systemd expects the pings of its watchdog.
      pinging ??= pingWatchdog(parts, () => lastTry, waiting);
      throw error;
    }
    found.abort();
    return 0;
  });
  await pinging;
  return identity;
}
