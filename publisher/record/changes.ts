import { type Changes, changesText, LONGEST_CHANGES, parseChanges } from '../../shared/changes.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import { keys } from '../../shared/names.ts';
import { compareAndSwap } from './compare-and-swap.ts';
import { nonce, type Objects } from './objects.ts';

/** Writes the list of changes of an environment (`shared/changes.ts`). */
export interface ChangeList {
  /**
   * To be called before a desired state with this nonce is written: a publisher that dies between the two writes has
   * then hidden nothing. Agents look several times for what the list names. A failure is a warning: the list is a hint.
   * @throws INTERRUPTED.
   */
  add(service: string, desiredNonce: string): Promise<void>;
  /** Reads the list ahead, so that `add` only writes. Never throws. */
  readAhead(): Promise<void>;
}

/** Publishers of other services write the same object. */
const ATTEMPTS = 10;
const BACKOFF = { first: 50, longest: 1000 };

interface Stored {
  etag: string;
  changes: Changes;
}

export function openChangeList({
  env,
  objects,
  warn,
}: {
  env: string;
  objects: Objects;
  warn: (text: string) => void;
}): ChangeList {
  const key = keys.changes(env);
  let ahead: Stored | undefined;
  /** What is written by the next write. Services are paused together: their changes go together, too. */
  let next = new Map<string, string>();
  let writing: Promise<void> | undefined;
  let last: Promise<unknown> = Promise.resolve();

  /** The list, whatever another writer made of it; undefined when there is none. */
  async function read(): Promise<Stored | undefined> {
    try {
      const stored = await objects.read(key, LONGEST_CHANGES);
      return stored && { etag: stored.etag, changes: parseChanges(stored.text) ?? new Map() };
    } catch (error) {
      if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
      const etag = await objects.etagOf(key);
      return etag === undefined ? undefined : { etag, changes: new Map() };
    }
  }

  async function write(changes: Changes): Promise<void> {
    let first = ahead;
    ahead = undefined;
    try {
      await compareAndSwap(objects, {
        ...{ key, attempts: ATTEMPTS, backoff: BACKOFF },
        async read() {
          const stored = first ?? (await read());
          first = undefined;
          return stored;
        },
        next: (stored) => ({
          body: changesText(stored?.changes ?? new Map(), changes, nonce()),
          value: undefined,
        }),
      });
    } catch (error) {
      if (isCode(error, 'INTERRUPTED')) throw error;
      warn(
        `the list of changes was not written (${messageOf(error)}): an instance that misses the announcement may notice this change a day later`,
      );
    }
  }

  return {
    add(service, desiredNonce) {
      next.set(service, desiredNonce);
      writing ??= last.then(() => {
        const changes = next;
        next = new Map();
        writing = undefined;
        return write(changes);
      });
      last = writing.catch(() => undefined);
      return writing;
    },
    async readAhead() {
      ahead = await read().catch(() => undefined);
    },
  };
}
