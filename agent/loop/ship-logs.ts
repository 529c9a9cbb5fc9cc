import { sleepUnlessAborted } from '../../shared/abort.ts';
import { type RepeatParts, repeat, withJitter } from './repeat.ts';

/** The logs of a service, as the loop needs them. */
export interface LogRounds {
  service: string;
  /** How often everything is uploaded, ms. */
  every: number;
  /** Returns false if it was not done, because something more important runs. */
  round(all: boolean, signal: AbortSignal): Promise<boolean>;
}

/** How often rotated files are looked for, ms. */
const LOOK_EVERY = 60_000;
/** After a round that was not done, ms. */
const AGAIN_AFTER = 5000;

/** Uploads the logs of each service on its schedule until `stopping` aborts. */
export async function shipLogs(
  parts: RepeatParts,
  logs: readonly LogRounds[],
  stopping: AbortSignal,
): Promise<void> {
  await Promise.all(logs.map((one) => shipService(parts, one, stopping)));
}

async function shipService(parts: RepeatParts, logs: LogRounds, stopping: AbortSignal): Promise<void> {
  const { clock } = parts;
  const pause = withJitter(Math.min(LOOK_EVERY, logs.every));
  // The agents of a fleet may start together.
  let dueAt = clock.monotonic() + pause;
  await sleepUnlessAborted(pause, stopping, clock).catch(() => {});
  await repeat(parts, stopping, `uploading the logs of ${logs.service}`, async (signal) => {
    const isDue = clock.monotonic() >= dueAt;
    if (!(await logs.round(isDue, signal))) return AGAIN_AFTER;
    if (isDue) dueAt = clock.monotonic() + withJitter(logs.every);
    return withJitter(Math.min(LOOK_EVERY, logs.every));
  });
}
