/** How much one console takes on. */

/** A server has this many open streams at most. */
export const MOST_STREAMS = 200;
/** In proxy mode one person has this many of them at most: nobody shuts the others out. */
export const MOST_STREAMS_EACH = 50;
/**
 * A console carries out this many commands at once at most: that many that follow a deployment, and that many others that
 * change something, so that a pause never waits for a place; and of what changes nothing, that many for each person.
 */
export const MOST_RUNS = 20;
/** One person sends this many requests that change something, and as many that ask the fleet, at most, in `CHANGE_WINDOW_MS`. */
export const MOST_CHANGES = 10;
const CHANGE_WINDOW_MS = 60_000;
/** One person has this many questions under way at once at most, streams left out. */
const MOST_QUESTIONS = 20;

/** Counts the requests that change something, by person. Returns how many seconds to wait; 0 when it may go on. */
export function createRateLimit(monotonic: () => number): (person: string) => number {
  const times = new Map<string, number[]>();
  return (person) => {
    const now = monotonic();
    for (const [name, all] of times) {
      const recent = all.filter((at) => at > now - CHANGE_WINDOW_MS);
      if (recent.length === 0) times.delete(name);
      else times.set(name, recent);
    }
    const own = times.get(person) ?? [];
    const [first] = own;
    if (first !== undefined && own.length >= MOST_CHANGES) {
      return Math.ceil((first + CHANGE_WINDOW_MS - now) / 1000);
    }
    times.set(person, [...own, now]);
    return 0;
  };
}

/** Counts the questions under way, by person. Returns what ends this one; undefined when there are too many. */
export function createQuestionLimit(): (person: string) => (() => void) | undefined {
  const counts = new Map<string, number>();
  return (person) => {
    const count = counts.get(person) ?? 0;
    if (count >= MOST_QUESTIONS) return undefined;
    counts.set(person, count + 1);
    return () => {
      const left = (counts.get(person) ?? 1) - 1;
      if (left === 0) counts.delete(person);
      else counts.set(person, left);
    };
  };
}
