import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { formatMs } from '../../shared/retry.ts';
import { note } from '../events.ts';
import { STALE_MS } from '../record/lock-document.ts';
import { type Pause, pauseText } from '../record/pauses.ts';
import { refuseIfDetached, type Session } from '../session.ts';
import { openQueue } from './queue-store.ts';
import type { Ticket } from './ticket.ts';
import { type AcquireRequest, namesOf, POLL_MS, type Waiter, waitInQueue } from './wait.ts';

/** The right to change a service: no pause blocks it, no live publisher is queued before it, and it holds the lock. */

/**
 * Acquires the lock, for a new deployment whose id is in the ticket. Without `queueMode` it does not wait, and does
 * not overtake publishers in the queue.
 * @throws PAUSED; LOCKED while another publisher changes the service or is queued for it; CANCELLED when detached.
 */
export async function acquire(session: Session, request: AcquireRequest): Promise<Ticket> {
  const { service, detach } = request;
  const signal = AbortSignal.any([session.signal, detach]);
  // The first answer also corrects the clock that dates the ids below.
  await refuseIfPaused(session, request);
  const self = newUlid(session.clock.now());
  const warn = (text: string) => note(session, text, 'warning');
  const context = { env: session.env.name, objects: session.record.objects, clock: session.clock, warn };
  const waiter: Waiter = { session, request, signal, queue: openQueue(context, service, self), self };
  try {
    return await admit(waiter, await (request.queueMode ? waitInQueue(waiter) : acquireNow(waiter)));
  } catch (error) {
    refuseIfDetached(detach);
    throw error;
  }
}

/** @throws PAUSED, saying who paused what, why, since when, and how to unpause. */
async function refuseIfPaused(
  session: Session,
  { service, command, despitePause }: Pick<AcquireRequest, 'service' | 'command' | 'despitePause'>,
): Promise<Pause | undefined> {
  const pause = await session.record.pauses.of(service);
  if (pause === undefined || despitePause) return pause;
  const env = session.env.name;
  const scope = pause.scope === 'service' ? ` ${service}` : '';
  const unpause = `to unpause: trigger-deploy unpause${scope} --env ${env}`;
  const override = '; --despite-pause --reason WHY rolls back despite the pause';
  throw new TriggerDeployError('PAUSED', pauseText(env, session.clock.now(), service, pause), {
    hint: command === 'rollback' ? unpause + override : unpause,
  });
}

/** Checked again under the lock: a pause may have come while the publisher waited. @throws PAUSED, CANCELLED. */
async function admit({ session, request }: Waiter, ticket: Ticket): Promise<Ticket> {
  try {
    refuseIfDetached(request.detach);
    const pause = await refuseIfPaused(session, request);
    if (pause === undefined) return ticket;
    const { by, since, reason } = pause;
    return { ...ticket, about: { ...ticket.about, despitePause: { by, since, reason } } };
  } catch (error) {
    await ticket.lock.release();
    throw error;
  }
}

/** @throws LOCKED while another publisher changes the service, or is queued for it. */
async function acquireNow(waiter: Waiter): Promise<Ticket> {
  await refuseIfOthersQueue(waiter);
  const { session, request, signal } = waiter;
  const { service, command } = request;
  const deployment = newUlid(session.clock.now());
  try {
    const lock = await session.record.locks.take({ service, command, deployment, signal });
    return { deployment, sequence: lock.sequence, lock };
  } catch (error) {
    if (!isCode(error, 'LOCKED')) throw error;
    const hint = `--queue waits for the lock; ${error.hint}`;
    throw new TriggerDeployError('LOCKED', error.message, { cause: error, hint });
  }
}

/** Entries without a heartbeat are watched until they are certainly dead. @throws LOCKED when a live one is queued. */
async function refuseIfOthersQueue({ session, request, signal, queue }: Waiter): Promise<void> {
  const { service } = request;
  for (let isWatching = false; ; isWatching = true) {
    const { queue: entries, silent } = await queue.look();
    if (entries.length === 0) return;
    if (entries.every(({ id }) => queue.dead().has(id))) {
      await queue.change((left) => left);
      continue;
    }
    const names = namesOf(session, entries);
    if (!silent) {
      throw new TriggerDeployError('LOCKED', `other publishers are queued for ${service}: ${names}`, {
        hint: '--queue waits behind them; --jump --reason WHY goes to the front of the queue',
      });
    }
    if (!isWatching) {
      const minute = formatMs(STALE_MS);
      const text = `no heartbeat from the queue for ${service} (${names}); watching it for ${minute} before dropping them`;
      note(session, text, 'warning');
    }
    await session.clock.sleep(POLL_MS, signal);
  }
}
