import { parseBoundedJson } from '../../shared/bounded-json.ts';
import type { Clock } from '../../shared/clock.ts';
import { keys } from '../../shared/names.ts';
import { compareAndSwap } from '../record/compare-and-swap.ts';
import { STALE_MS } from '../record/lock-document.ts';
import { nonce, type Objects } from '../record/objects.ts';
import { isGone, type ProcessIdentity } from '../record/process-identity.ts';
import {
  deadIn,
  type Observations,
  observe,
  type Queue,
  type QueueEntry,
  queueDocument,
  withoutDead,
} from './queue.ts';

/** The queue of a service, stored as `line.json`. It is changed by conditional writes only, and never deleted. */

/** The result of one read of the queue. */
export interface QueueView {
  queue: Queue;
  /** Whether nobody wrote the queue for `STALE_MS`, by S3's clock. Then all entries may be dead. */
  silent: boolean;
}

export interface QueueStore {
  look(): Promise<QueueView>;
  /** Applies `change` to the queue without its dead entries, writes the result and returns it. */
  change(change: (queue: Queue) => Queue): Promise<Queue>;
  /**
   * The ids of the entries whose publishers are certainly dead: their process has ended on this machine, S3 says by its
   * own clock that nobody wrote the queue for `STALE_MS`, or this publisher has watched the entry for `STALE_MS` without
   * a new heartbeat.
   */
  dead(): ReadonlySet<string>;
}

interface QueueContext {
  env: string;
  objects: Objects;
  clock: Clock;
  /** This process. */
  here: ProcessIdentity;
  warn: (text: string) => void;
}

/** How often a write is tried: of several simultaneous writes only one succeeds, and the others read again. */
const ATTEMPTS = 20;

/** The entries without those that are certainly dead, for a reader that does not wait itself. */
export async function livingQueue(context: QueueContext, service: string): Promise<Queue> {
  const store = openQueue(context, service, '');
  const { queue } = await store.look();
  const dead = store.dead();
  return queue.filter(({ id }) => !dead.has(id));
}

/** `self` is this publisher's id in the queue. */
export function openQueue(
  { env, objects, clock, here, warn }: QueueContext,
  service: string,
  self: string,
): QueueStore {
  const key = keys.queue(env, service);
  let observations: Observations = new Map();
  /** The entries that were found dead when the queue was read last. */
  let found: ReadonlySet<string> = new Set();
  const dead = () =>
    new Set([...found, ...deadIn(observations, { now: clock.monotonic(), staleMs: STALE_MS, self })]);
  const observed = (queue: Queue) => {
    observations = observe(observations, queue, clock.monotonic());
  };

  async function read(): Promise<(QueueView & { etag: string }) | undefined> {
    const stored = await objects.read(key);
    const queue = stored === undefined ? [] : parse(stored.text);
    observed(queue);
    // Both times are S3's: this machine's clock may be an hour off.
    const silent = stored !== undefined && (stored.readAt ?? clock.now()) - stored.lastModified >= STALE_MS;
    const gone = (entry: QueueEntry) => (silent && stored.readAt !== undefined) || isGone(entry, here);
    found = new Set(queue.filter((entry) => entry.id !== self && gone(entry)).map(({ id }) => id));
    return stored && { queue, silent, etag: stored.etag };
  }

  function parse(text: string): Queue {
    try {
      return queueDocument.parse(parseBoundedJson(text)).waiting;
    } catch {
      warn(`${key} is unreadable: the queue starts empty, and waiting publishers re-queue at the end`);
      return [];
    }
  }

  return {
    look: async () => (await read()) ?? { queue: [], silent: false },
    dead,
    async change(change) {
      const { value, etag } = await compareAndSwap(objects, {
        key,
        read,
        attempts: ATTEMPTS,
        next(stored) {
          const before = stored?.queue ?? [];
          const value = change(withoutDead(before, dead()));
          if (JSON.stringify(value) === JSON.stringify(before)) return { value };
          return { value, body: JSON.stringify({ v: 1, nonce: nonce(), waiting: value }) };
        },
      });
      if (etag !== undefined) observed(value);
      return value;
    },
  };
}
