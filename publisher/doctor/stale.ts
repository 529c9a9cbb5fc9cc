import { isCode } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { note } from '../events.ts';
import { openQueue } from '../queue/queue-store.ts';
import type { Session } from '../session.ts';
import type { DoctorFinding } from './finding.ts';

/** What publishers that have died left behind: a lock, and places in the queue. The next deployment copes with both. */

interface StaleQuestion {
  service: string;
  /** Whether the newest deployment has not ended: then the publisher that continues it takes the lock over. */
  open: boolean;
  repair: boolean;
}

/** With `repair` it frees the lock and the places of publishers that are certainly dead. @throws AWS_*. */
export async function examineStale(session: Session, about: StaleQuestion): Promise<DoctorFinding[]> {
  return [...(about.open ? [] : await staleLock(session, about)), ...(await staleQueue(session, about))];
}

async function staleLock(session: Session, { service, repair }: StaleQuestion): Promise<DoctorFinding[]> {
  const { locks } = session.record;
  const id = 'stale-lock';
  const view = await locks.look(service).catch((error: unknown) => {
    // One that cannot be read has a finding already.
    if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
    return undefined;
  });
  if (view === undefined) return [];
  const { owner, state, dead } = view;
  if (owner === null) return [{ id, state: 'ok', what: 'nobody holds the lock' }];
  const held = `${owner.who} (${owner.command} ${owner.deployment}) holds the lock since ${owner.since}`;
  if (state === 'held') return [{ id, state: 'ok', what: held }];
  const what = `${held}, has died, and no deployment is open`;
  if (repair && dead && (await free(session, service))) return [{ id, state: 'repaired', what }];
  return [{ id, state: 'wrong', what, hint: hintOf(session, service) }];
}

/** Takes the lock as any publisher may, and gives it back: its number goes up by one. */
async function free({ record, clock, signal }: Session, service: string): Promise<boolean> {
  const request = { service, command: 'doctor', deployment: newUlid(clock.now()), signal };
  try {
    await (await record.locks.take(request)).release();
    return true;
  } catch (error) {
    if (isCode(error, 'LOCKED')) return false;
    throw error;
  }
}

async function staleQueue(session: Session, { service, repair }: StaleQuestion): Promise<DoctorFinding[]> {
  const { objects, here } = session.record;
  const warn = (text: string) => note(session, text, 'warning');
  const context = { env: session.env.name, objects, here, clock: session.clock, warn };
  const store = openQueue(context, service, newUlid(session.clock.now()));
  const { queue } = await store.look();
  const dead = queue.filter(({ id }) => store.dead().has(id));
  const id = 'queue';
  if (dead.length === 0) return [{ id, state: 'ok', what: `${queue.length} publishers wait in the queue` }];
  const what = `${dead.length} of ${queue.length} publishers in the queue have died: ${dead[0]?.who} waits since ${dead[0]?.since}`;
  if (repair) {
    await store.change((alive) => alive);
    return [{ id, state: 'repaired', what }];
  }
  return [{ id, state: 'wrong', what, hint: hintOf(session, service) }];
}

const hintOf = ({ env }: Session, service: string) =>
  `trigger-deploy doctor ${service} --repair --env ${env.name} removes it; the next deployment does so, too`;
