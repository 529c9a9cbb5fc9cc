import { z } from 'zod';
import type { Clock } from '../../shared/clock.ts';
import { isCode, messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { keys, newUlid, ulid } from '../../shared/names.ts';
import { formatMs } from '../../shared/retry.ts';
import { nonce, type Objects, type StoredValue } from './objects.ts';
import type { Origin } from './origin.ts';

/**
 * One publisher at a time per service, and the fencing token.
 *
 * Taking the lock writes sequence + 1 in the same conditional PUT (gaps are harmless). Its owner beats every
 * `HEARTBEAT_MS`; a lock is stale when its ETag has not changed for `STALE_MS` on the taker's own monotonic
 * clock, and only then taken over. The object is never deleted, so that the sequence never goes back.
 */
export const STALE_MS = 60_000;
export const HEARTBEAT_MS = 15_000;
/** How often a lock that looks dead is looked at, ms. */
const WATCH_MS = 2000;

const owner = z.looseObject({
  /** Of this one taking of the lock. */
  id: ulid,
  /** `issuedBy`. */
  who: z.string(),
  host: z.string(),
  pid: z.int(),
  deployment: ulid,
  /** The verb: `deploy`, `rollback`, `watch`. */
  command: z.string(),
  since: z.iso.datetime(),
  beat: z.iso.datetime(),
});
type LockOwner = z.infer<typeof owner>;

const lockDocument = z.looseObject({
  v: z.literal(1),
  nonce: z.string(),
  sequence: z.int().min(0),
  owner: owner.nullable(),
});
type LockDocument = z.infer<typeof lockDocument>;

/** The lock as it stands: free, beating, or silent for too long (`stale`; whether it is dead, the taker watches). */
interface LockView {
  state: 'free' | 'held' | 'stale';
  sequence: number;
  owner: LockOwner | null;
  /** Held by one whom this publisher has watched for long enough: taking it needs no more waiting. */
  dead: boolean;
}

export interface Lock {
  /** The token: higher than any before. */
  readonly sequence: number;
  /** Aborts once someone else holds the lock, with FENCED as its reason. */
  readonly lost: AbortSignal;
  /** The next sequence under the same lock, for a deployment that follows from this one. @throws FENCED. */
  next(deployment: string): Promise<number>;
  /** Frees the lock unless it is someone else's by now. Never throws: an unreleased lock goes stale by itself. */
  release(): Promise<void>;
}

interface Wanted {
  service: string;
  command: string;
  deployment: string;
  /** Ends the watching of a lock that looks dead. */
  signal: AbortSignal;
}

export interface Locks {
  /**
   * @throws LOCKED when its owner beat within the last `STALE_MS`. A lock that has been silent for longer is
   * watched until it has not changed for `STALE_MS` on this clock, then taken over.
   */
  take(wanted: Wanted): Promise<Lock>;
  /** Looking counts as watching: a lock looked at now and then for `STALE_MS` is taken over at once. */
  look(service: string): Promise<LockView>;
}

export interface LockContext {
  env: string;
  objects: Objects;
  clock: Clock;
  who: string;
  origin: Origin;
  warn: (text: string) => void;
  /** A sequence that was surely reached, asked for when the lock's own object is gone. */
  floor: (service: string) => Promise<number>;
}

export function openLocks(context: LockContext): Locks {
  const { env, objects, clock } = context;
  /** When each lock was first seen with the ETag it has, on the monotonic clock. */
  const sightings = new Map<string, { etag: string; first: number }>();

  async function see(service: string): Promise<StoredValue<LockDocument> | undefined> {
    const stored = await objects.readJson(keys.lock(env, service), lockDocument);
    if (stored === undefined) sightings.delete(service);
    else if (sightings.get(service)?.etag !== stored.etag) {
      sightings.set(service, { etag: stored.etag, first: clock.monotonic() });
    }
    return stored;
  }

  const seenUnchangedMs = (service: string) =>
    clock.monotonic() - (sightings.get(service)?.first ?? clock.monotonic());
  // Both times are S3's: this machine's clock may be an hour off.
  const isSilent = (stored: StoredValue<LockDocument>) => clock.now() - stored.lastModified >= STALE_MS;

  async function watchUntilDead(wanted: Wanted, found: LockOwner): Promise<void> {
    if (seenUnchangedMs(wanted.service) >= STALE_MS) return;
    context.warn(
      `the lock of ${wanted.service} is held by ${found.who} (${found.command} ${found.deployment}) since ${found.since}, who gives no sign of life; watching it for ${formatMs(STALE_MS)} before taking it over`,
    );
    for (;;) {
      await clock.sleep(WATCH_MS, wanted.signal);
      const stored = await see(wanted.service);
      if (stored?.value.owner?.id !== found.id) return;
      if (seenUnchangedMs(wanted.service) >= STALE_MS) return;
      if (!isSilent(stored)) throw locked(wanted.service, found, clock.now());
    }
  }

  async function write(wanted: Wanted, stored: StoredValue<LockDocument> | undefined): Promise<Lock> {
    const key = keys.lock(env, wanted.service);
    const reached = stored?.value.sequence ?? (await context.floor(wanted.service));
    const mine = document(context, wanted, reached + 1);
    const body = JSON.stringify(mine);
    const etag = stored ? await objects.putIf(key, body, stored.etag) : await objects.putNew(key, body);
    return hold(context, key, mine, etag);
  }

  return {
    async take(wanted) {
      for (;;) {
        const stored = await see(wanted.service);
        const found = stored?.value.owner;
        if (stored && found) {
          const dead = seenUnchangedMs(wanted.service) >= STALE_MS;
          if (!dead && !isSilent(stored)) throw locked(wanted.service, found, clock.now());
          if (!dead) {
            await watchUntilDead(wanted, found);
            continue;
          }
        }
        try {
          return await write(wanted, stored);
        } catch (error) {
          // Someone was faster, or the dead came back: the next look tells which.
          if (!isCode(error, 'CONDITION_FAILED')) throw error;
        }
      }
    },

    async look(service) {
      const stored = await see(service);
      const found = stored?.value.owner ?? null;
      const silent = stored !== undefined && (isSilent(stored) || seenUnchangedMs(service) >= STALE_MS);
      return {
        state: found === null ? 'free' : silent ? 'stale' : 'held',
        sequence: stored?.value.sequence ?? 0,
        owner: found,
        dead: found !== null && seenUnchangedMs(service) >= STALE_MS,
      };
    },
  };
}

type HeldDocument = LockDocument & { owner: LockOwner };

function document(context: LockContext, wanted: Wanted, sequence: number): HeldDocument {
  const now = new Date(context.clock.now()).toISOString();
  return {
    v: 1,
    nonce: nonce(),
    sequence,
    owner: {
      id: newUlid(context.clock.now()),
      who: context.who,
      host: context.origin.host,
      pid: process.pid,
      deployment: wanted.deployment,
      command: wanted.command,
      since: now,
      beat: now,
    },
  };
}

/** A lock just written: beats until it is released or lost. */
function hold(context: LockContext, key: string, first: HeldDocument, firstEtag: string): Lock {
  const { objects, clock } = context;
  const lost = new AbortController();
  const done = new AbortController();
  let mine = first;
  let etag = firstEtag;
  /** The nonces of writes that had no answer: one of them may be what is stored. */
  const unanswered = new Set<string>();
  // One write at a time: each names the ETag of the one before.
  let last: Promise<unknown> = Promise.resolve();

  function write(change: (held: HeldDocument) => LockDocument): Promise<void> {
    const next = last.then(async () => {
      lost.signal.throwIfAborted();
      for (;;) {
        const now = new Date(clock.now()).toISOString();
        const body = { ...change({ ...mine, owner: { ...mine.owner, beat: now } }), nonce: nonce() };
        unanswered.add(body.nonce);
        try {
          etag = await objects.putIf(key, JSON.stringify(body), etag);
        } catch (error) {
          if (!isCode(error, 'CONDITION_FAILED')) throw error;
          await takeUpOwn();
          continue;
        }
        unanswered.clear();
        if (body.owner !== null) mine = { ...body, owner: body.owner };
        return;
      }
    });
    last = next.catch(() => undefined);
    return next;
  }

  /** Goes on from what is stored if that is a write of this owner whose answer was lost. @throws FENCED else. */
  async function takeUpOwn(): Promise<void> {
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

  async function beat(): Promise<void> {
    let warned = false;
    while (!done.signal.aborted && !lost.signal.aborted) {
      try {
        await clock.sleep(HEARTBEAT_MS, done.signal);
        await write((held) => held);
        warned = false;
      } catch (error) {
        if (done.signal.aborted || lost.signal.aborted) return;
        if (!warned) context.warn(`the lock could not be renewed, trying on: ${messageOf(error)}`);
        warned = true;
      }
    }
  }
  void beat();

  return {
    sequence: first.sequence,
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
        context.warn(
          `the lock could not be released (${messageOf(error)}); it frees itself after ${formatMs(STALE_MS)}`,
        );
      }
    },
  };
}

function locked(service: string, found: LockOwner, now: number): TriggerDeployError {
  const ago = (time: string) => `${formatMs(Math.max(0, now - Date.parse(time)))} ago`;
  return new TriggerDeployError(
    'LOCKED',
    `${service} is being changed by ${found.who} (${found.command} ${found.deployment}) since ${found.since}, ${ago(found.since)}`,
    {
      hint: `trigger-deploy watch ${found.deployment} follows it; its publisher (pid ${found.pid} on ${found.host}) gave a sign of life ${ago(found.beat)}: if it is dead, the same command takes the lock over after ${formatMs(STALE_MS)} of silence`,
    },
  );
}

function fenced(taker: LockOwner | undefined): TriggerDeployError {
  return new TriggerDeployError(
    'FENCED',
    taker
      ? `${taker.who} has taken the lock over (${taker.command} ${taker.deployment}) while this publisher gave no sign of life`
      : 'another publisher has had the lock while this one gave no sign of life',
    {
      hint: taker
        ? `trigger-deploy watch ${taker.deployment} follows what happens now`
        : 'look at the history of the service, and deploy again',
    },
  );
}
