import type { Clock } from '../../../shared/clock.ts';

/** Waits for a state of systemd's units. */

/** Pauses between polls: short at first, for services that start quickly, then longer. */
const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 500;

/** Polls until `done` returns true or `within` ms have passed; returns the last state. */
export async function pollUnit<T>(
  show: () => Promise<T>,
  done: (state: T) => boolean | Promise<boolean>,
  options: { within: number; clock: Clock; signal: AbortSignal },
): Promise<{ state: T; inTime: boolean }> {
  const { within, clock, signal } = options;
  const end = clock.monotonic() + within;
  for (let pause = FIRST_POLL_MS; ; pause = Math.min(LONGEST_POLL_MS, pause * 1.5)) {
    const state = await show();
    if (await done(state)) return { state, inTime: true };
    const left = end - clock.monotonic();
    if (left <= 0) return { state, inTime: false };
    await clock.sleep(Math.min(pause, left), signal);
  }
}
