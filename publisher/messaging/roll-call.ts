import { newUlid } from '../../shared/names.ts';
import type { RollCallAnswer } from '../../shared/report.ts';
import { note } from '../events.ts';
import type { Session } from '../session.ts';
import { announce, validity } from './announce.ts';
import { openReplyQueue, type ReplyQueue } from './reply-queue.ts';

/** The announcement of a roll call is valid for at least this long, ms. */
const SHORTEST_LIFE_MS = 60_000;

/** After this time a person is told what the command waits for, ms. */
const QUIET_MS = 1000;

export interface RollCall {
  /** The service to ask about; all services when left out. */
  service?: string | undefined;
  /** The instances that should answer. */
  known: readonly string[];
  waitMs: number;
  /** Those of `known` that have not answered are asked again after each so many ms; never when left out. */
  askAgainMs?: number | undefined;
  /** Called with each answer as it comes. */
  onAnswer?: ((answer: RollCallAnswer) => void) | undefined;
  /** Called before they are asked again. */
  onSilence?: ((missing: readonly string[]) => void) | undefined;
}

/**
 * Asks the agents what they run. Collects answers until all instances in `known` have answered, or `waitMs` have
 * passed. If `known` is empty, it always waits `waitMs`. Other instances may answer too; their answers are returned.
 * @throws AWS_*, TOPIC_NOT_FOUND, and the reason of the session's signal after it aborts.
 */
export async function rollCall(session: Session, asked: RollCall): Promise<RollCallAnswer[]> {
  const queue = await openReplyQueue(session, undefined, { service: asked.service });
  try {
    return await collect(session, queue, asked);
  } finally {
    await queue.close();
  }
}

async function collect(session: Session, queue: ReplyQueue, asked: RollCall): Promise<RollCallAnswer[]> {
  const { service, known, waitMs, askAgainMs, onAnswer, onSilence } = asked;
  const { clock } = session;
  const id = newUlid(clock.now());
  const answers = new Map<string, RollCallAnswer>();
  const missing = new Set(known);
  const complete = new AbortController();
  const signal = AbortSignal.any([complete.signal, session.signal]);
  const listening = queue.listen((reply) => {
    if (reply.kind !== 'roll-call' || reply.rollCall !== id || reply.env !== session.env.name) return;
    // Whoever is asked again may answer twice: the first answer counts.
    if (!answers.has(reply.instance)) answers.set(reply.instance, reply);
    missing.delete(reply.instance);
    onAnswer?.(reply);
    if (missing.size === 0 && known.length > 0) complete.abort();
  }, signal);
  /** A person who waits longer than a second sees for whom. */
  async function noteSilence(): Promise<void> {
    await clock.sleep(QUIET_MS, signal).catch(() => undefined);
    if (signal.aborted || missing.size === 0) return;
    note(session, `waiting for the answers of ${missing.size} of ${known.length} instances`);
  }
  try {
    const end = clock.monotonic() + waitMs;
    for (let left = waitMs; ; ) {
      await announce(
        session,
        { kind: 'roll-call', deployment: id, replyTo: queue.name, ...(service !== undefined && { service }) },
        validity(clock, Math.max(left, SHORTEST_LIFE_MS)),
      );
      if (onSilence === undefined && left > QUIET_MS) void noteSilence();
      await clock.sleep(Math.min(left, askAgainMs ?? left), signal).catch(() => undefined);
      left = end - clock.monotonic();
      if (signal.aborted || askAgainMs === undefined || left <= 0) break;
      onSilence?.([...missing]);
    }
  } finally {
    complete.abort();
    await listening;
  }
  session.signal.throwIfAborted();
  return [...answers.values()];
}
