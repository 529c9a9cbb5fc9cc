import type { Clock } from '../../shared/clock.ts';
import { formatMs } from '../../shared/duration.ts';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import { compareAndSwap } from './compare-and-swap.ts';
import {
  HEARTBEAT_MS,
  type HeldDocument,
  type LockDocument,
  type LockOwner,
  lockDocument,
  STALE_MS,
} from './lock-document.ts';
import { nonce, type Objects } from './objects.ts';

/** The pause after a failed heartbeat, ms: short, so that it comes before another publisher finds the lock stale. */
const AGAIN_MS = 2000;

/** A lock that this publisher holds. */
export interface Lock {
  /** The fencing token with which the lock was taken: higher than any sequence before it. */
  readonly sequence: number;
  /** The id of the next reply queue of this owner, a ULID. Whoever takes the lock over from it knows these ids. */
  replyId(): string;
  /** The ids of the reply queues that the dead owner may have left, from which the lock was taken over. */
  readonly deadReplyIds: readonly string[];
  /** Aborts, with FENCED as its reason, once a write finds that this publisher no longer holds the lock. */
  readonly lost: AbortSignal;
  /** Reserves the next sequence under the same lock, for the rollback that follows a deployment. @throws FENCED. */
  next(deployment: string): Promise<number>;
  /** Frees the lock unless another publisher holds it. Never throws: a lock that is not released expires. */
  release(): Promise<void>;
}

interface HolderContext {
  objects: Objects;
  clock: Clock;
  warn: (text: string) => void;
}

/** A lock that was just taken. */
interface Taken {
  first: HeldDocument;
  etag: string;
  /** The dead owner that it was taken from. */
  before: LockOwner | null;
}

/** Keeps the lock that was just written as `first`, by heartbeats until release or loss. */
export function holdLock(
  { objects, clock, warn }: HolderContext,
  key: string,
  { first, etag: firstEtag, before }: Taken,
): Lock {
  const lost = new AbortController();
  const done = new AbortController();
  const replyIds = replyIdsOf(first.owner.id);
  let mine = first;
  let etag = firstEtag;
  /** The nonces of writes without an answer. Any of these writes may have been stored. */
  const unanswered = new Set<string>();
  // One write at a time: each names the ETag of the one before.
  let last: Promise<unknown> = Promise.resolve();

  function write(change: (held: HeldDocument) => LockDocument): Promise<void> {
    const next = last.then(async () => {
      lost.signal.throwIfAborted();
      let isFirstTry = true;
      const written = await compareAndSwap(objects, {
        key,
        async read() {
          if (!isFirstTry) await adoptUnanswered();
          isFirstTry = false;
          return { etag };
        },
        next() {
          const beat = new Date(clock.now()).toISOString();
          const value = { ...change({ ...mine, owner: { ...mine.owner, beat } }), nonce: nonce() };
          unanswered.add(value.nonce);
          return { body: JSON.stringify(value), value };
        },
      });
      etag = written.etag ?? etag;
      unanswered.clear();
      const { owner } = written.value;
      if (owner !== null) mine = { ...written.value, owner };
    });
    last = next.catch(() => undefined);
    return next;
  }

  /** Continues from the stored lock if it is a write of this owner whose answer was lost. @throws FENCED otherwise. */
  async function adoptUnanswered(): Promise<void> {
    const stored = await objects.readJson(key, lockDocument);
    const found = stored?.value.owner;
    if (stored === undefined || !found || !unanswered.has(stored.value.nonce)) {
      lost.abort(fenced(found ?? undefined));
      throw lost.signal.reason;
    }
    mine = { ...stored.value, owner: found };
    etag = stored.etag;
    unanswered.clear();
  }

  async function sendHeartbeats(): Promise<void> {
    let isFailing = false;
    while (!done.signal.aborted && !lost.signal.aborted) {
      try {
        await clock.sleep(isFailing ? AGAIN_MS : HEARTBEAT_MS, done.signal);
        await write((held) => held);
        isFailing = false;
      } catch (error) {
        if (done.signal.aborted || lost.signal.aborted) return;
        if (!isFailing) warn(`the heartbeat of the lock failed, retrying: ${messageOf(error)}`);
        isFailing = true;
      }
    }
  }
  void sendHeartbeats();

  return {
    sequence: first.sequence,
    replyId: () => replyIds.shift() ?? newUlid(clock.now()),
    deadReplyIds: before === null ? [] : replyIdsOf(before.id),
    lost: lost.signal,
    async next(deployment) {
      await write((held) => ({
        ...held,
        sequence: held.sequence + 1,
        owner: { ...held.owner, deployment },
      }));
      return mine.sequence;
    },
    async release() {
      done.abort();
      try {
        await write((held) => ({ ...held, owner: null }));
      } catch (error) {
        if (lost.signal.aborted) return;
        warn(`the lock was not released (${messageOf(error)}); it expires after ${formatMs(STALE_MS)}`);
      }
    },
  };
}

/** An owner has a reply queue for its deployment, and one for the rollback that follows. */
const REPLY_QUEUES = 2;

/** The ids of the reply queues of the owner with this id. A ULID with another last digit is a ULID. */
export const replyIdsOf = (owner: string) =>
  Array.from({ length: REPLY_QUEUES }, (_, i) => `${owner.slice(0, -1)}${i}`);

function fenced(taker: LockOwner | undefined): TriggerDeployError {
  const who = taker ? `${taker.who} (${taker.command} ${taker.deployment})` : 'another publisher';
  return new TriggerDeployError(
    'FENCED',
    `${who} took over the lock: this publisher wrote no heartbeat for more than ${formatMs(STALE_MS)}`,
    {
      hint: taker
        ? `trigger-deploy watch ${taker.deployment} follows the new deployment`
        : 'look at the history of the service, then deploy again',
    },
  );
}
