import { formatMs } from '../../shared/duration.ts';
import { isCode } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { note } from '../events.ts';
import { begun } from '../record/begun.ts';
import { refuseIfChanged } from '../record/if-sequence.ts';
import { STALE_MS } from '../record/lock-document.ts';
import type { Pause } from '../record/pauses.ts';
import { beginReads } from '../record/reads.ts';
import { refuseIfDetached, type Session } from '../session.ts';
import { openQueue } from './queue-store.ts';
import { heldError, namesOf, pausedError, queuedError, type Wanted } from './refusals.ts';
import type { Ticket } from './ticket.ts';
import { type AcquireRequest, POLL_MS, type Waiter, waitInQueue } from './wait.ts';

/**
 * A publisher may change a service when no pause blocks the change, no live publisher is queued before it, and it holds
 * the lock.
 */

/**
 * Acquires the lock for a new deployment, whose id is in the returned ticket. With `queueMode` this publisher waits in
 * the queue. Without `queueMode` it fails if it would have to wait for a live publisher. It waits only to find out
 * whether a publisher that wrote no heartbeat for `STALE_MS` is dead.
 * @throws PAUSED; CHANGED by `ifSequence`; CANCELLED when detached; without `queueMode`, LOCKED while another publisher changes the service or
 * is queued for it.
 */
export async function acquire(session: Session, request: AcquireRequest): Promise<Ticket> {
  const { detach, checked } = request;
  try {
    if (request.queueMode === undefined) return await acquireNow(session, request);
    await checked;
    // The first answer from AWS also corrects `session.clock`, which dates the id of the place in the queue.
    await refuseIfPaused(session, request);
    // There is nothing to wait for where the change would be refused anyway.
    if (request.ifSequence !== undefined) await refuseUnseen(session, request);
    const waiter = waiterOf(session, request);
    return await admit(waiter, await waitInQueue(waiter));
  } catch (error) {
    refuseIfDetached(detach);
    throw error;
  }
}

const wantedBy = (
  { env, clock }: Session,
  { service, command }: Pick<AcquireRequest, 'service' | 'command'>,
): Wanted => ({ env: env.name, service, command, now: clock.now() });

function waiterOf(session: Session, request: AcquireRequest): Waiter {
  const self = newUlid(session.clock.now());
  const signal = AbortSignal.any([session.signal, request.detach]);
  const warn = (text: string) => note(session, text, 'warning');
  const { objects, here } = session.record;
  const context = { env: session.env.name, objects, here, clock: session.clock, warn };
  return { session, request, signal, queue: openQueue(context, request.service, self), self };
}

/** Returns the pause that `despitePause` ignores, if any. @throws PAUSED without `despitePause`. */
async function refuseIfPaused(
  session: Session,
  { service, command, despitePause }: Pick<AcquireRequest, 'service' | 'command' | 'despitePause'>,
  read = session.record.pauses.of(service),
): Promise<Pause | undefined> {
  const pause = await read;
  if (pause === undefined || despitePause) return pause;
  throw pausedError(wantedBy(session, { service, command }), pause);
}

/**
 * Checks for a pause again, now under the lock, because one may have been set while this publisher waited. Releases the
 * lock on failure. The desired state, too, can have changed until the lock was taken. @throws PAUSED, CHANGED, CANCELLED.
 */
async function admit({ session, request }: Waiter, taken: Ticket): Promise<Ticket> {
  const ticket = { ...taken, reads: beginReads(session.record, request.service) };
  try {
    refuseIfDetached(request.detach);
    const pause = await refuseIfPaused(session, request);
    if (request.ifSequence !== undefined) await refuseUnseen(session, request, ticket.reads.desired);
    if (pause === undefined) return ticket;
    const { by, since, reason } = pause;
    return { ...ticket, about: { ...ticket.about, despitePause: { by, since, reason } } };
  } catch (error) {
    await ticket.lock.release();
    throw error;
  }
}

/** @throws CHANGED where the desired state is not that of `ifSequence`; as the read. */
async function refuseUnseen(
  session: Session,
  { service, ifSequence }: Pick<AcquireRequest, 'service' | 'ifSequence'>,
  reading = session.record.desired.read(service),
): Promise<void> {
  const desired = (await reading)?.value;
  refuseIfChanged({ env: session.env.name, service, ifSequence }, desired, session.clock.now());
}

/**
 * Takes the lock without a queue entry. What has to be known before is read at the same time, and judged in order.
 * @throws LOCKED while another publisher holds the lock or is queued.
 */
async function acquireNow(session: Session, request: AcquireRequest): Promise<Ticket> {
  const { service, command } = request;
  const waiter = waiterOf(session, request);
  const paused = begun(session.record.pauses.of(service));
  const queued = begun(waiter.queue.look());
  session.record.locks.readAhead(service);
  await request.checked;
  await refuseIfPaused(session, request, paused);
  await refuseIfOthersQueue(waiter, queued);
  const { signal } = waiter;
  const deployment = newUlid(session.clock.now());
  try {
    const lock = await session.record.locks.take({ service, command, deployment, signal });
    return await admit(waiter, { deployment, sequence: lock.sequence, lock });
  } catch (error) {
    if (!isCode(error, 'LOCKED')) throw error;
    throw heldError(error);
  }
}

/**
 * Resolves once the queue is empty. If nobody wrote the queue for `STALE_MS`, it watches the entries until they are
 * certainly dead, then drops them. @throws LOCKED when a publisher wrote the queue within `STALE_MS`.
 */
async function refuseIfOthersQueue(
  { session, request, signal, queue, self }: Waiter,
  first: ReturnType<Waiter['queue']['look']>,
): Promise<void> {
  const { service } = request;
  for (let isWatching = false; ; isWatching = true) {
    const { queue: entries, silent } = await (isWatching ? queue.look() : first);
    if (entries.length === 0) return;
    if (entries.every(({ id }) => queue.dead().has(id))) {
      await queue.change((left) => left);
      return await refuseIfOthersQueue({ session, request, signal, queue, self }, queue.look());
    }
    if (!silent) throw queuedError(wantedBy(session, request), entries);
    if (!isWatching) {
      const names = namesOf(entries, session.clock.now());
      const minute = formatMs(STALE_MS);
      const text = `no heartbeat from the queue for ${service} (${names}); watching it for ${minute} before dropping them`;
      note(session, text, 'warning');
    }
    await session.clock.sleep(POLL_MS, signal);
  }
}
