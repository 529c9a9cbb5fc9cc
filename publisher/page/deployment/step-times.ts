import { formatMs } from '../../../shared/duration.ts';
import { STEPS } from '../../../shared/states.ts';

/** The times of the steps, beside those of the last deployment. Pure. */

/** Shorter steps are left out, ms: as in the terminal. */
const SHORTEST_MS = 50;
/** The last time is said where a step took so much longer or shorter. */
const FACTOR = 1.5;
const LEAST_MS = 500;

type Times = Readonly<Partial<Record<string, number>>>;

/** `prepare 0.8 s · start 1.2 s (last time 0.6 s)`: a time of the last deployment where it was quite another one. */
export function stepTimesText(timings: Times, last: Times = {}): string {
  return STEPS.flatMap((step) => {
    const ms = timings[step] ?? 0;
    if (ms < SHORTEST_MS) return [];
    const before = last[step];
    return [
      `${step} ${formatMs(ms)}${before !== undefined && differs(ms, before) ? ` (last time ${formatMs(before)})` : ''}`,
    ];
  }).join(' · ');
}

const differs = (ms: number, before: number) =>
  Math.abs(ms - before) >= LEAST_MS && (ms > before * FACTOR || before > ms * FACTOR);
