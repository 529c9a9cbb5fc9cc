import type { LiveMessage } from '../api.ts';
import type { OpenSubject, Subject } from '../ports.ts';

/** How long a watch goes on after the last page has left it, ms: a page that is loaded again finds it warm. */
export const KEPT_MS = 10_000;
/** More watches than streams: those that nobody looks at any more are ended first. */
const MOST_WATCHES = 250;

/** A message for many pages: it becomes text once. */
export interface Told {
  message: LiveMessage;
  /** As JSON. */
  text(): string;
}

export interface Watch {
  snapshot(): Told;
  leave(): void;
}

/** One watch for each subject, shared by all pages that look at it: 20 pages cause the same calls as one. */
export interface Watches {
  /**
   * Resolves once the subject has its first snapshot; `show` is called with all that follows it.
   * @throws what `open` throws.
   */
  join(key: string, open: OpenSubject, show: (told: Told) => void): Promise<Watch>;
  /** How many watches go on. */
  count(): number;
  /** Ends all of them. */
  close(): void;
}

interface Entry {
  opening: Promise<Subject>;
  shows: Set<(told: Told) => void>;
  ending: AbortController;
  users: number;
  timer: NodeJS.Timeout | undefined;
}

export function createWatches(): Watches {
  const entries = new Map<string, Entry>();

  const end = (key: string, entry: Entry) => {
    clearTimeout(entry.timer);
    if (entries.get(key) === entry) entries.delete(key);
    entry.ending.abort();
  };

  const begin = (key: string, open: OpenSubject): Entry => {
    for (const [other, entry] of entries) {
      if (entries.size < MOST_WATCHES) break;
      if (entry.users === 0) end(other, entry);
    }
    const shows: Entry['shows'] = new Set();
    const ending = new AbortController();
    const show = (message: LiveMessage) => {
      if (ending.signal.aborted) return;
      const told = tell(message);
      for (const one of shows) one(told);
    };
    const opening = open(show, ending.signal);
    const entry: Entry = { opening, shows, ending, users: 0, timer: undefined };
    opening.catch(() => end(key, entry));
    entries.set(key, entry);
    return entry;
  };

  const leave = (key: string, entry: Entry) => {
    entry.users -= 1;
    if (entry.users > 0 || entry.ending.signal.aborted) return;
    entry.timer = setTimeout(() => end(key, entry), KEPT_MS);
    entry.timer.unref();
  };

  return {
    async join(key, open, show) {
      const known = entries.get(key);
      const entry = known ?? begin(key, open);
      clearTimeout(entry.timer);
      entry.users += 1;
      const own = (told: Told) => show(told);
      let subject: Subject;
      try {
        subject = await entry.opening;
        if (known !== undefined) await subject.freshen?.();
      } catch (error) {
        leave(key, entry);
        throw error;
      }
      // In the same turn as the snapshot that the page takes next: nothing is missed between them.
      entry.shows.add(own);
      let isIn = true;
      return {
        snapshot: () => tell(subject.snapshot()),
        leave() {
          if (!isIn) return;
          isIn = false;
          entry.shows.delete(own);
          leave(key, entry);
        },
      };
    },
    count: () => entries.size,
    close() {
      for (const [key, entry] of entries) end(key, entry);
    },
  };
}

export function tell(message: LiveMessage): Told {
  let text: string | undefined;
  return {
    message,
    text() {
      text ??= JSON.stringify(message);
      return text;
    },
  };
}
