/** Says where a command is when it reads many objects: a person then sees that it is not stuck. */

/** From when on a person is told, ms, if so many objects were read. */
const FIRST_MS = 1000;
const FEWEST = 100;
/** The shortest time between two words, ms. */
const AGAIN_MS = 5000;
/** Reads with less time between them are one, ms. */
const GAP_MS = 500;

export interface ReadNotes {
  /**
   * To be called when a request begins. The function that it returns is to be called with the number of objects that
   * were read or listed.
   */
  begin(what: 'reading' | 'listing', key: string): (objects: number) => void;
}

/** @param monotonic ms; for tests. */
export function createReadNotes(
  bucket: string,
  tell: (text: string) => void,
  monotonic = () => performance.now(),
): ReadNotes {
  let running = 0;
  /** How many objects of each folder were read or listed. */
  let counts = new Map<string, number>();
  let all = 0;
  let since = 0;
  let endedAt = Number.NEGATIVE_INFINITY;
  let nextAt = 0;
  return {
    begin(what, key) {
      const now = monotonic();
      if (running === 0 && now - endedAt > GAP_MS) {
        counts = new Map();
        all = 0;
        since = now;
      }
      running += 1;
      return (objects) => {
        running -= 1;
        all += objects;
        const where = `${what} s3://${bucket}/${folderOf(key)}`;
        const count = (counts.get(where) ?? 0) + objects;
        counts.set(where, count);
        endedAt = monotonic();
        const isLong = endedAt - since >= FIRST_MS && all >= FEWEST;
        if (!isLong || endedAt < nextAt) return;
        nextAt = endedAt + AGAIN_MS;
        tell(`${where}: ${count} objects so far`);
      };
    },
  };
}

/** `state/ENV/SERVICE/KIND/`, or `artifacts/SERVICE/`. */
function folderOf(key: string): string {
  const parts = key.split('/').slice(0, -1);
  return `${parts.slice(0, parts[0] === 'state' ? 4 : 2).join('/')}/`;
}
