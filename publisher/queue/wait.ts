import { isCode, messageOf } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { formatMs } from '../../shared/retry.ts';
import { note } from '../events.ts';
import { HEARTBEAT_MS, STALE_MS } from '../record/lock.ts';
import type { Session } from '../session.ts';
import { aheadOf, beat, join, type Line, leave, type Waiting } from './queue.ts';
import type { WaitingLine } from './queue-store.ts';
import type { Ticket } from './ticket.ts';

/** Waiting in the line: a place in it, kept by beats, until the lock can be had. */

/** How often line and lock are looked at, ms. */
export const LOOK_MS = 2000;
/** How often it is said who is ahead while nothing changes, ms. */
const SAY_MS = 60_000;
/** How long leaving the line may take, ms; without it the place is free a minute later. */
const LEAVE_MS = 3000;

export interface AcquireRequest {
  service: string;
  /** The verb. */
  command: string;
  /** What is to be brought, for those who wait behind. */
  version?: string | undefined;
  reason?: string | undefined;
  /** Wait at the end of the line, or at its front. */
  queueMode?: QueueMode;
  /** Go on though it is paused: only a rollback may. */
  despitePause?: boolean | undefined;
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/** `--queue`, `--jump`. */
export type QueueMode = 'queue' | 'jump' | undefined;

export interface Place {
  session: Session;
  wanted: AcquireRequest;
  /** Aborts with the command, and with Ctrl-C. */
  signal: AbortSignal;
  line: WaitingLine;
  /** This command's id in the line. */
  self: string;
}

/** Waits until it is first in the line and the lock can be had. However it ends, the place is given up. */
export async function throughTheLine(place: Place): Promise<Ticket> {
  const { session, wanted, line, self } = place;
  const { who, origin, clock } = session;
  const began = clock.now();
  const jumped = wanted.queueMode === 'jump' ? (wanted.reason ?? '') : undefined;
  const me: Waiting = {
    ...{ id: self, who, host: origin.host, pid: process.pid, command: wanted.command },
    ...{ version: wanted.version, since: new Date(began).toISOString(), beat: 0, jumped },
  };
  let overtook: string[] = [];
  try {
    await line.change((left) => {
      overtook = jumped === undefined ? [] : left.map((one) => one.who);
      return join(left, me);
    });
    const ticket = await wait(place, me);
    const waitedMs = Math.max(0, clock.now() - began);
    const told = { since: me.since, waitedMs, ...(jumped === undefined ? {} : { jumped, overtook }) };
    return { ...ticket, about: { line: told } };
  } finally {
    await giveUpPlace(place);
  }
}

async function wait(place: Place, me: Waiting): Promise<Ticket> {
  const { session, wanted, signal, self } = place;
  const { locks } = session.record;
  const { service, command } = wanted;
  const says = openSayings(place);
  const beats = { last: session.clock.monotonic(), failing: false };
  for (;;) {
    signal.throwIfAborted();
    try {
      const waiting = await takePart(place, me, beats);
      const ahead = aheadOf(waiting, self) ?? [];
      // Looking counts as watching: a dead owner's minute passes meanwhile.
      const held = await locks.look(service);
      const free = held.state === 'free' || held.dead;
      if (ahead.length === 0 && free) {
        const deployment = newUlid(session.clock.now());
        const lock = await locks.take({ service, command, deployment, signal });
        return { deployment, sequence: lock.sequence, lock };
      }
      says(ahead, waiting.length, held.owner);
      beats.failing = false;
    } catch (error) {
      // A place is not lost for a minute without AWS, nor for someone who was quicker to the lock.
      if (signal.aborted || !isCode(error, 'AWS_UNREACHABLE', 'CONDITION_FAILED', 'LOCKED')) throw error;
      const text = `the line for ${service} cannot be read, trying on: ${messageOf(error)}`;
      if (error.code === 'AWS_UNREACHABLE' && !beats.failing) note(session, text, 'warning');
      beats.failing = error.code === 'AWS_UNREACHABLE';
    }
    await session.clock.sleep(LOOK_MS, signal);
  }
}

/** Beats where it is due, drops the dead, and comes back in where others took this one for dead; the line as it then is. */
async function takePart(
  { session, line, self, wanted }: Place,
  me: Waiting,
  beats: { last: number },
): Promise<Line> {
  const now = session.clock.monotonic();
  let { line: waiting } = await line.look();
  const isDue = now - beats.last >= HEARTBEAT_MS;
  if (isDue || line.dead().size > 0) {
    waiting = await line.change((left) => beat(left, self));
    beats.last = now;
  }
  if (aheadOf(waiting, self) !== undefined) return waiting;
  const text = `the place in the line for ${wanted.service} was lost: this publisher gave no sign of life for too long; it is at the end now`;
  note(session, text, 'warning');
  const { jumped: _lost, ...atTheEnd } = me;
  return await line.change((left) => join(left, atTheEnd));
}

/** Says the place when it changes and every minute; whoever is overtaken hears by whom, and why. */
function openSayings({ session, wanted }: Place) {
  let last: { text: string; at: number; ahead: ReadonlySet<string> } | undefined;
  return (
    ahead: Line,
    length: number,
    owner: { who: string; command: string; deployment: string } | null,
  ) => {
    const now = session.clock.monotonic();
    for (const one of ahead) {
      if (last === undefined || last.ahead.has(one.id) || one.jumped === undefined) continue;
      const text = `overtaken in the line for ${wanted.service} by ${nameOf(session, one)}: ${one.jumped}`;
      note(session, text, 'warning');
    }
    const where = `place ${ahead.length + 1} of ${length} in the line for ${wanted.service}`;
    const others = ahead.map((one) => one.id).join();
    const changing = owner ? `${owner.who} changes it now (${owner.command} ${owner.deployment})` : '';
    const text = [where, others, changing].join();
    const ids = new Set(ahead.map((one) => one.id));
    const isNews = last?.text !== text || now - last.at >= SAY_MS;
    if (isNews) {
      const before = ahead.length > 0 ? `ahead: ${namesOf(session, ahead)}` : '';
      note(session, [where, before, changing].filter(Boolean).join('; '));
    }
    last = { text, at: isNews || last === undefined ? now : last.at, ahead: ids };
  };
}

async function giveUpPlace({ session, line, self, wanted }: Place): Promise<void> {
  const over = new AbortController();
  const late = session.clock.sleep(LEAVE_MS, over.signal).then(
    () => 'in time it could not be',
    () => undefined,
  );
  const left = line.change((waiting) => leave(waiting, self)).then(() => undefined, messageOf);
  const trouble = await Promise.race([left, late]);
  over.abort();
  if (trouble === undefined) return;
  const text = `the place in the line for ${wanted.service} was not given up (${trouble}); it is free after ${formatMs(STALE_MS)}`;
  note(session, text, 'warning');
}

/** `ann@host (deploy 1.4.2, for 3 min)`. */
function nameOf(session: Session, { who, command, version, since }: Waiting): string {
  const waits = formatMs(Math.max(0, session.clock.now() - Date.parse(since)));
  return `${who} (${[command, version].filter(Boolean).join(' ')}, for ${waits})`;
}

export function namesOf(session: Session, line: Line): string {
  const shown = line.slice(0, 5).map((one) => nameOf(session, one));
  const more = line.length > 5 ? [`${line.length - 5} more`] : [];
  return [...shown, ...more].join(', ');
}
