const DAY = Math.floor(Date.now() / (24 * 60 * 60_000));

/**
 * With TEST_PART=today, as `.ci/run` sets it, one item in `oneIn`: each day another part, so that `oneIn` days play all.
 * Otherwise all of them.
 */
export function partOfToday<T>(all: readonly T[], oneIn: number): T[] {
  return all.filter((_, index) => process.env.TEST_PART !== 'today' || (index + DAY) % oneIn === 0);
}
