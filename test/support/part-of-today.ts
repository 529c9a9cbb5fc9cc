/** Days since the epoch: what plays a part each day chooses it by this number. */
export const DAY = Math.floor(Date.now() / (24 * 60 * 60_000));

/** `.ci/run` sets TEST_PART=today: the longest suites play a part, each day another one. */
export const IS_PART = process.env.TEST_PART === 'today';

/** Of a part, one item in `oneIn`, so that `oneIn` days play all; otherwise all of them. */
export function partOfToday<T>(all: readonly T[], oneIn: number): T[] {
  return all.filter((_, index) => !IS_PART || (index + DAY) % oneIn === 0);
}
