import { formatMs } from '../../shared/duration.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { note } from '../events.ts';
import { HEARTBEAT_MS, STALE_MS } from '../record/lock-document.ts';
import type { Session } from '../session.ts';
import { aheadOf, dequeue, enqueue, type Queue, type QueueEntry, withHeartbeat } from './queue.ts';
import type { QueueStore } from './queue-store.ts';
import { nameOf, namesOf } from './refusals.ts';
import type { Ticket } from './ticket.ts';

/** How a publisher waits in the queue until the lock is free. It keeps its place by heartbeats. */

/** How often queue and lock are read, ms. */
export const POLL_MS = 2000;
/** How often the place is shown while nothing changes, ms. */
const SHOW_MS = 60_000;
/** How long leaving the queue may take, ms. If it fails, the entry expires after `STALE_MS`. */
const LEAVE_MS = 3000;

export interface AcquireRequest {
  service: string;
  /** The verb. */
  command: string;
  /** The version to deploy. It is shown to the publishers that wait behind this one. */
  version?: string | undefined;
  reason?: string | undefined;
  /** Where to wait in the queue; undefined: not at all. */
  queueMode?: QueueMode;
  /** Whether to ignore a pause. Only a rollback may set it. */
  despitePause?: boolean | undefined;
  /** What has to succeed before a queue is entered or a lock is taken; what can be read meanwhile is read. */
  checked?: Promise<unknown>;
  /** The sequence of the desired state that is to be changed; 0: none. Any when left out. */
  ifSequence?: number | undefined;
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/** `queue`: wait at the end (`--queue`). `jump`: wait at the front (`--jump`). */
export type QueueMode = 'queue' | 'jump' | undefined;

/** A publisher that wants the lock. */
export interface Waiter {
  session: Session;
  request: AcquireRequest;
  /** Aborts when the command must end, and on Ctrl-C. */
  signal: AbortSignal;
  queue: QueueStore;
  /** This publisher's id in the queue. */
  self: string;
}

/** Waits until this publisher is first and the lock is free, and takes the lock. Leaves the queue, also on failure. */
export async function waitInQueue(waiter: Waiter): Promise<Ticket> {
  const { session, request, queue, self } = waiter;
  const { who, clock } = session;
  const began = clock.now();
  const jumped = request.queueMode === 'jump' ? (request.reason ?? '') : undefined;
  const entry: QueueEntry = {
    ...{ id: self, who, ...session.record.here, command: request.command },
    ...{ version: request.version, since: new Date(began).toISOString(), beat: 0, jumped },
  };
  let overtook: string[] = [];
  try {
    await queue.change((left) => {
      overtook = jumped === undefined ? [] : left.map((one) => one.who);
      return enqueue(left, entry);
    });
    const ticket = await wait(waiter, entry);
    const waitedMs = Math.max(0, clock.now() - began);
    const line = { since: entry.since, waitedMs, ...(jumped === undefined ? {} : { jumped, overtook }) };
    return { ...ticket, about: { line } };
  } finally {
    await leaveQueue(waiter);
  }
}

async function wait(waiter: Waiter, entry: QueueEntry): Promise<Ticket> {
  const { session, request, signal, self } = waiter;
  const { locks } = session.record;
  const { service, command } = request;
  const showPlace = placeNotes(waiter);
  const heartbeat = { last: session.clock.monotonic() };
  let isUnreachable = false;
  for (;;) {
    signal.throwIfAborted();
    try {
      const queue = await keepPlace(waiter, entry, heartbeat);
      const ahead = aheadOf(queue, self) ?? [];
      // Each read of the lock counts as watching it, so that the lock of a dead owner expires meanwhile.
      const held = await locks.look(service);
      const isFree = held.state === 'free' || held.dead;
      if (ahead.length === 0 && isFree) {
        const deployment = newUlid(session.clock.now());
        const lock = await locks.take({ service, command, deployment, signal });
        return { deployment, sequence: lock.sequence, lock };
      }
      showPlace(ahead, queue.length, held.owner);
      isUnreachable = false;
    } catch (error) {
      // Neither an AWS outage nor a publisher that takes the lock first ends the wait.
      if (signal.aborted || !isCode(error, 'AWS_UNREACHABLE', 'CONDITION_FAILED', 'LOCKED')) throw error;
      const text = `the queue for ${service} cannot be read, retrying: ${messageOf(error)}`;
      if (error.code === 'AWS_UNREACHABLE' && !isUnreachable) note(session, text, 'warning');
      isUnreachable = error.code === 'AWS_UNREACHABLE';
    }
    await session.clock.sleep(POLL_MS, signal);
  }
}

/**
 * Writes a heartbeat when one is due, and drops dead entries. If the entry of this publisher is gone, adds it again at
 * the end. Returns the queue.
 */
async function keepPlace(
  { session, queue, self }: Waiter,
  entry: QueueEntry,
  heartbeat: { last: number },
): Promise<Queue> {
  const now = session.clock.monotonic();
  let { queue: entries } = await queue.look();
  const isDue = now - heartbeat.last >= HEARTBEAT_MS;
  if (isDue || queue.dead().size > 0) {
    entries = await queue.change((left) => withHeartbeat(left, self));
    heartbeat.last = now;
  }
  if (aheadOf(entries, self) !== undefined) return entries;
  const text = `queue place lost (no heartbeat for ${STALE_MS / 1000} s); re-queued at the end`;
  note(session, text, 'warning');
  const { jumped: _lost, ...atTheEnd } = entry;
  return await queue.change((left) => enqueue(left, atTheEnd));
}

/** Returns a function that shows the place when it changes and every `SHOW_MS`, and who overtook this publisher. */
function placeNotes({ session, request }: Waiter) {
  let last: { text: string; at: number; ahead: ReadonlySet<string> } | undefined;
  return (
    ahead: Queue,
    length: number,
    owner: { who: string; command: string; deployment: string } | null,
  ) => {
    const now = session.clock.monotonic();
    for (const entry of ahead) {
      if (last === undefined || last.ahead.has(entry.id) || entry.jumped === undefined) continue;
      const text = `overtaken in the queue for ${request.service} by ${nameOf(entry, session.clock.now())}: ${entry.jumped}`;
      note(session, text, 'warning');
    }
    const place = `place ${ahead.length + 1} of ${length} in the queue for ${request.service}`;
    const locked = owner ? `locked by ${owner.who} (${owner.command} ${owner.deployment})` : '';
    const text = [place, ahead.map((entry) => entry.id).join(), locked].join();
    const isNews = last?.text !== text || now - last.at >= SHOW_MS;
    if (isNews) {
      const before = ahead.length > 0 ? `ahead: ${namesOf(ahead, session.clock.now())}` : '';
      const line = [place, before, locked].filter(Boolean).join('; ');
      note(session, line, 'info', { place: ahead.length + 1, of: length });
    }
    const ids = new Set(ahead.map((entry) => entry.id));
    last = { text, at: isNews || last === undefined ? now : last.at, ahead: ids };
  };
}

async function leaveQueue({ session, queue, self, request }: Waiter): Promise<void> {
  const over = new AbortController();
  const late = session.clock.sleep(LEAVE_MS, over.signal).then(
    () => 'timed out',
    () => undefined,
  );
  const left = queue.change((entries) => dequeue(entries, self)).then(() => undefined, messageOf);
  const trouble = await Promise.race([left, late]);
  over.abort();
  if (trouble === undefined) return;
  const text = `could not leave the queue for ${request.service} (${trouble}); the place expires after ${formatMs(STALE_MS)}`;
  note(session, text, 'warning');
}
