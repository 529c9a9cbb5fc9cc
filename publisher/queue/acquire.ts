import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { formatMs } from '../../shared/retry.ts';
import { note } from '../events.ts';
import { type Lock, STALE_MS } from '../record/lock.ts';
import { type Pause, pauseText } from '../record/pauses.ts';
import type { Session } from '../session.ts';
import { openLine } from './queue-store.ts';
import type { Ticket } from './ticket.ts';
import { type AcquireRequest, LOOK_MS, namesOf, type Place, throughTheLine } from './wait.ts';

/** Whose turn it is to change a service: past its pauses, through its line, to its lock. */

/**
 * The lock, once it is this command's turn, with the id of the deployment that it is for. Without `queueMode` it is
 * now or not at all: nobody overtakes those who wait.
 * @throws PAUSED; LOCKED while somebody else changes the service or waits to; CANCELLED when detached.
 */
export async function acquire(session: Session, wanted: AcquireRequest): Promise<Ticket> {
  const { service, detach } = wanted;
  const { locks, objects } = session.record;
  const signal = AbortSignal.any([session.signal, detach]);
  // The first reading also tells AWS's clock, by which the ids below are dated.
  await refuseIfPaused(session, wanted);
  const self = newUlid(session.clock.now());
  const warn = (text: string) => note(session, text, 'warning');
  const line = openLine({ env: session.env.name, objects, clock: session.clock, warn }, service, self);
  const place: Place = { session, wanted, signal, line, self };
  try {
    if (wanted.queueMode !== undefined) return await admitted(place, await throughTheLine(place));
    await refuseToOvertake(place);
    const deployment = newUlid(session.clock.now());
    const lock = await locks.take({ service, command: wanted.command, deployment, signal });
    return await admitted(place, { deployment, sequence: lock.sequence, lock });
  } catch (error) {
    refuseIfDetached(detach);
    if (!isCode(error, 'LOCKED') || error.hint?.includes('--queue')) throw error;
    const hint = `--queue waits for it; ${error.hint}`;
    throw new TriggerDeployError('LOCKED', error.message, { cause: error, hint });
  }
}

/** The lock alone, for what goes on with a deployment that had its turn. @throws LOCKED, CANCELLED. */
export async function acquireLock(
  session: Session,
  { detach, ...wanted }: { service: string; command: string; deployment: string; detach: AbortSignal },
): Promise<Lock> {
  const signal = AbortSignal.any([session.signal, detach]);
  try {
    return await session.record.locks.take({ ...wanted, signal });
  } catch (error) {
    refuseIfDetached(detach);
    throw error;
  }
}

/** Before anything is announced there is nothing to detach from. */
export function refuseIfDetached(detach: AbortSignal): void {
  if (detach.aborted) throw new TriggerDeployError('CANCELLED', 'interrupted before anything was announced');
}

/** @throws PAUSED, saying who paused what, why, since when, and how it goes on. */
async function refuseIfPaused(
  session: Session,
  { service, command, despitePause }: Pick<AcquireRequest, 'service' | 'command' | 'despitePause'>,
): Promise<Pause | undefined> {
  const pause = await session.record.pauses.of(service);
  if (pause === undefined || despitePause) return pause;
  const env = session.env.name;
  const scope = pause.scope === 'service' ? ` ${service}` : '';
  const lift = `trigger-deploy unpause${scope} --env ${env} lifts it`;
  const around = '; --despite-pause --reason WHY rolls back all the same';
  throw new TriggerDeployError('PAUSED', pauseText(env, session.clock.now(), service, pause), {
    hint: command === 'rollback' ? lift + around : lift,
  });
}

/** Under the lock, by what is true now: a pause may have come while it waited. */
async function admitted({ session, wanted }: Place, ticket: Ticket): Promise<Ticket> {
  try {
    refuseIfDetached(wanted.detach);
    const pause = await refuseIfPaused(session, wanted);
    if (pause === undefined) return ticket;
    const { by, since, reason } = pause;
    return { ...ticket, about: { ...ticket.about, despitePause: { by, since, reason } } };
  } catch (error) {
    await ticket.lock.release();
    throw error;
  }
}

/** @throws LOCKED when somebody waits, and lives; a line of the dead is watched until that is certain. */
async function refuseToOvertake({ session, wanted, signal, line }: Place): Promise<void> {
  const { service } = wanted;
  for (let watching = false; ; watching = true) {
    const { line: waiting, silent } = await line.look();
    if (waiting.length === 0) return;
    if (waiting.every(({ id }) => line.dead().has(id))) {
      await line.change((left) => left);
      continue;
    }
    if (!silent) {
      throw new TriggerDeployError(
        'LOCKED',
        `others wait to change ${service}: ${namesOf(session, waiting)}`,
        {
          hint: '--queue joins the line behind them; --jump --reason WHY goes to its front',
        },
      );
    }
    if (!watching) {
      const text = `${namesOf(session, waiting)} in the line for ${service} give no sign of life; watching them for ${formatMs(STALE_MS)}`;
      note(session, text, 'warning');
    }
    await session.clock.sleep(LOOK_MS, signal);
  }
}
