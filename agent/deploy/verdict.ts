/**
 * A verdict on a running service needs time, not a count. Pure. What speaks against the service must last, and what
 * speaks for it again must last, too: neither a blip nor a lucky answer decides, wherever in the watch period it falls.
 */

/** What speaks against a service must last this long, ms. */
export const VERDICT_SPAN = 3000;
/** A service that failed has recovered after it has been healthy for this long without a break, ms. */
export const RECOVERY_SPAN = 1000;
/** A service that is down, and that its manager does not start, is given up after this time, ms. */
export const DOWN_SPAN = 1000;
/** A service that its manager has restarted so many times is in a crash loop. */
export const CRASH_LOOP = 3;

export interface Verdict {
  /**
   * Takes an observation, made at `at` (ms, monotonic). Returns how long the service has been failing, if that is a
   * verdict; otherwise undefined.
   */
  observe(isWell: boolean, at: number): number | undefined;
  /** Whether there was a failure from which the service has not recovered yet. */
  isOpen(): boolean;
}

/** `span` and `recovery` in ms. */
export function createVerdict(span: number, recovery = 0): Verdict {
  let failingSince: number | undefined;
  let wellSince: number | undefined;
  return {
    observe(isWell, at) {
      if (isWell) {
        wellSince ??= at;
        if (at - wellSince >= recovery) failingSince = undefined;
        return undefined;
      }
      wellSince = undefined;
      failingSince ??= at;
      const lasted = at - failingSince;
      return lasted >= span ? lasted : undefined;
    },
    isOpen: () => failingSince !== undefined,
  };
}
