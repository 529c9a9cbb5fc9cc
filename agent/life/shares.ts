/**
 * How the time until the end of an instance is shared. Pure. Each step may take its share of the time that is left: what a
 * step does not use is shared by those after it, and no step can use up the time of those.
 */

/** The steps, in order, and their shares of the whole. */
const SHARES = {
  /** A deployment that has switched goes on to its end. */
  settle: 20,
  /** It has not ended, and is rolled back. */
  rollBack: 15,
  /** Target groups, then `beforeStop` hooks. */
  drain: 30,
  hooks: 20,
  logs: 8,
  /** Reports reach the record. */
  deliver: 3,
  leave: 4,
} as const;
export type EndStep = keyof typeof SHARES;

const ORDER = Object.keys(SHARES) as EndStep[];
/** Each step gets this long, ms, however late it is: the machine may live longer than was announced. */
const AT_LEAST = 1000;

/** How long the step may take, ms, if it begins at `now`. The last time before `deadline` is left for the completion. */
export function shareOf(step: EndStep, now: number, deadline: number): number {
  const rest = ORDER.slice(ORDER.indexOf(step)).reduce((sum, one) => sum + SHARES[one], 0);
  return Math.max(AT_LEAST, Math.floor(((deadline - now) * SHARES[step]) / (rest + 1)));
}
