import * as z from 'zod';
import { ulid } from '../../shared/names.ts';
import { processFields } from '../record/process-identity.ts';

/**
 * The queue of publishers that wait to change a service. Pure. The queue is advisory: only the lock guarantees that two
 * publishers never change a service at once.
 */

const queueEntry = z.looseObject({
  /** The id of this wait, not of the deployment that follows. */
  id: ulid,
  /** The `issuedBy` of the publisher: `user@host`, or a CI build. */
  who: z.string(),
  ...processFields,
  /** The verb: `deploy`, `rollback`, `restart`. */
  command: z.string(),
  version: z.string().optional(),
  since: z.iso.datetime(),
  /** The number of heartbeats; increases while the publisher lives. */
  beat: z.int().min(0),
  /** The reason for going to the front of the queue; left out for an entry that was added at the end. */
  jumped: z.string().optional(),
});
export type QueueEntry = z.infer<typeof queueEntry>;

export const queueDocument = z.looseObject({
  v: z.literal(1),
  nonce: z.string(),
  /** The next publisher first. */
  waiting: z.array(queueEntry),
});

/** The entries, the next publisher first. Each id occurs once. */
export type Queue = readonly QueueEntry[];

/** Adds the entry at the end, or with `jumped` at the front. An entry that is already in the queue keeps its place. */
export function enqueue(queue: Queue, entry: QueueEntry): Queue {
  if (queue.some(({ id }) => id === entry.id)) return queue;
  return entry.jumped === undefined ? [...queue, entry] : [entry, ...queue];
}

export const dequeue = (queue: Queue, id: string): Queue => queue.filter((entry) => entry.id !== id);

export const withHeartbeat = (queue: Queue, id: string): Queue =>
  queue.map((entry) => (entry.id === id ? { ...entry, beat: entry.beat + 1 } : entry));

export const withoutDead = (queue: Queue, dead: ReadonlySet<string>): Queue =>
  queue.filter(({ id }) => !dead.has(id));

/** The entries ahead of `id`, in queue order; undefined when `id` is not in the queue. */
export function aheadOf(queue: Queue, id: string): Queue | undefined {
  const place = queue.findIndex((entry) => entry.id === id);
  return place === -1 ? undefined : queue.slice(0, place);
}

/** By entry id: the latest heartbeat of the entry, and when the observer first saw it (ms, monotonic clock). */
export type Observations = ReadonlyMap<string, { beat: number; first: number }>;

/** The observations after a read of the queue at `now` (ms, monotonic clock). */
export function observe(before: Observations, queue: Queue, now: number): Observations {
  return new Map(
    queue.map(({ id, beat }) => {
      const known = before.get(id);
      return [id, known?.beat === beat ? known : { beat, first: now }];
    }),
  );
}

/** The entries without a new heartbeat for `staleMs`; never `self`. */
export function deadIn(
  observations: Observations,
  { now, staleMs, self }: { now: number; staleMs: number; self?: string | undefined },
): ReadonlySet<string> {
  const dead = [...observations].filter(([id, { first }]) => id !== self && now - first >= staleMs);
  return new Set(dead.map(([id]) => id));
}
