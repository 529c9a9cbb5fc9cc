import type { Clock } from '../../shared/clock.ts';
import { formatMs } from '../../shared/duration.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { keys, newUlid } from '../../shared/names.ts';
import { beyondReach, isBeyondReach } from '../../shared/sequence.ts';
import { begun } from './begun.ts';
import { compareAndSwap } from './compare-and-swap.ts';
import { holdLock, type Lock } from './held-lock.ts';
import {
  type HeldDocument,
  type LockDocument,
  type LockOwner,
  lockDocument,
  STALE_MS,
} from './lock-document.ts';
import { nonce, type Objects, type StoredValue } from './objects.ts';
import { isGone, type ProcessIdentity } from './process-identity.ts';

/**
 * The lock lets one publisher at a time change a service, and gives each owner a fencing token, the sequence.
 *
 * One conditional PUT takes the lock and increases the sequence by 1 (gaps are harmless). The owner writes a heartbeat
 * every `HEARTBEAT_MS`. Another publisher takes the lock over once its owner is certainly dead: its process has ended on
 * this machine; or S3 says, by its own clock, that nobody wrote the lock for `STALE_MS`; or, where S3's answers have no
 * date, this publisher has itself watched the ETag unchanged for `STALE_MS`, on its monotonic clock. The object is never
 * deleted, so that the sequence never decreases.
 */

/** How often a lock without a heartbeat is read while it is watched, ms. */
const WATCH_MS = 2000;
/** How often a repair is tried: another publisher may write its heartbeat in between. */
const ATTEMPTS = 5;

/** The lock at the time of a read. `stale`: it has an owner that wrote no heartbeat for `STALE_MS`. */
export interface LockView {
  state: 'free' | 'held' | 'stale';
  sequence: number;
  owner: LockOwner | null;
  /** Whether the owner is certainly dead: the lock can be taken over now. */
  dead: boolean;
}

interface LockRequest {
  service: string;
  command: string;
  deployment: string;
  /** Ends the wait while a stale lock is watched. */
  signal: AbortSignal;
}

export interface Locks {
  /**
   * Takes the lock, also from an owner that is certainly dead.
   * @throws LOCKED when its owner wrote a heartbeat within the last `STALE_MS`, and may live; RECORD_DAMAGED when the
   * sequence has reached AWS's time in ms, which no number of deployments does.
   */
  take(request: LockRequest): Promise<Lock>;
  /** Begins to read the lock: the next `take` of this service then only has to write. */
  readAhead(service: string): void;
  /** Why the lock is wrong; undefined when it is not. `highest` is the highest sequence that was given out. */
  inspect(service: string, highest: number): Promise<string | undefined>;
  /**
   * Replaces a lock that `inspect` calls wrong by a free one that counts to `highest`. A publisher that holds it loses it.
   * Returns false when there was nothing wrong any more.
   */
  repair(service: string, highest: number): Promise<boolean>;
  /** Reads the lock. Repeated reads count as watching it. */
  look(service: string): Promise<LockView>;
}

export interface LockContext {
  env: string;
  objects: Objects;
  clock: Clock;
  who: string;
  /** This process. */
  here: ProcessIdentity;
  warn: (text: string) => void;
  /** Reads the highest sequence that is known to be used; called only when `lock.json` is missing. */
  floor: (service: string) => Promise<number>;
}

export function openLocks(context: LockContext): Locks {
  const { env, objects, clock, warn } = context;
  /** By service: the ETag of the lock, and when this publisher first saw this ETag (ms, monotonic clock). */
  const observations = new Map<string, { etag: string; first: number }>();
  /** By service: a read for the next `take`, which writes only if the lock has not changed since. */
  const ahead = new Map<string, ReturnType<typeof read>>();

  async function read(service: string): Promise<StoredValue<LockDocument> | undefined> {
    const stored = await objects.readJson(keys.lock(env, service), lockDocument);
    if (stored === undefined) observations.delete(service);
    else if (observations.get(service)?.etag !== stored.etag) {
      observations.set(service, { etag: stored.etag, first: clock.monotonic() });
    }
    return stored;
  }

  /** The lock as it is, and what is wrong with it; undefined when there is none, and none was given out. */
  async function readRaw(
    service: string,
    highest: number,
  ): Promise<{ etag: string | undefined; wrong: string | undefined } | undefined> {
    const key = keys.lock(env, service);
    const etag = await objects.etagOf(key);
    if (etag === undefined)
      return highest > 0 ? { etag: undefined, wrong: missing(service, highest) } : undefined;
    try {
      const stored = await objects.readJson(key, lockDocument);
      return stored && { etag: stored.etag, wrong: mistakeOf(service, stored.value, highest, clock.now()) };
    } catch (error) {
      if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
      return { etag, wrong: error.message };
    }
  }

  const unchangedMs = (service: string) =>
    clock.monotonic() - (observations.get(service)?.first ?? clock.monotonic());
  const ageMs = (stored: StoredValue<LockDocument>) => (stored.readAt ?? clock.now()) - stored.lastModified;
  const isSilent = (stored: StoredValue<LockDocument>) => ageMs(stored) >= STALE_MS;

  /** Why the owner is certainly dead; undefined while it may live. */
  function whyDead(service: string, stored: StoredValue<LockDocument>): string | undefined {
    const { owner } = stored.value;
    if (owner === null) return undefined;
    if (isGone(owner, context.here)) return `its process ${owner.pid} on this machine has ended`;
    // Both times are S3's: this machine's clock may be an hour off.
    if (stored.readAt !== undefined && isSilent(stored)) return `no heartbeat for ${formatMs(ageMs(stored))}`;
    if (unchangedMs(service) >= STALE_MS)
      return `no heartbeat while it was watched for ${formatMs(STALE_MS)}`;
    return undefined;
  }

  /** The stored lock, once it is free or its owner is certainly dead. @throws LOCKED. */
  async function readTakeable({ service, signal }: LockRequest) {
    let watched: string | undefined;
    for (;;) {
      const early = ahead.get(service);
      ahead.delete(service);
      const stored = await (early ?? read(service));
      const owner = stored?.value.owner;
      if (!stored || !owner) return stored;
      // Its owner may have released it since.
      if (early !== undefined) continue;
      const why = whyDead(service, stored);
      if (why !== undefined) {
        warn(takenText(service, owner, why));
        return stored;
      }
      if (!isSilent(stored)) throw locked({ env, service, owner }, clock.now(), STALE_MS - ageMs(stored));
      if (watched !== owner.id) warn(watchText(service, owner));
      watched = owner.id;
      await clock.sleep(WATCH_MS, signal);
    }
  }

  return {
    async take(request) {
      const key = keys.lock(env, request.service);
      let before: LockOwner | null = null;
      const taken = await compareAndSwap(objects, {
        key,
        // After a conflict, another publisher took the lock first, or the owner is alive. The next read shows which.
        read: () => readTakeable(request),
        async next(stored) {
          before = stored?.value.owner ?? null;
          const reached = stored?.value.sequence ?? (await context.floor(request.service));
          if (isBeyondReach(reached + 1, clock.now())) throw lockTooHigh(env, request.service, reached);
          const value = heldDocument(context, request, reached + 1);
          return { body: JSON.stringify(value), value };
        },
      });
      return holdLock(context, key, { first: taken.value, etag: taken.etag ?? '', before });
    },

    readAhead(service) {
      ahead.set(service, begun(read(service)));
    },

    inspect: async (service, highest) => (await readRaw(service, highest))?.wrong,

    async repair(service, highest) {
      let isWrong = false;
      const { value } = await compareAndSwap(objects, {
        key: keys.lock(env, service),
        attempts: ATTEMPTS,
        async read() {
          const { etag, wrong } = (await readRaw(service, highest)) ?? {};
          isWrong = wrong !== undefined;
          return etag === undefined ? undefined : { etag };
        },
        next() {
          if (!isWrong) return { value: false };
          const right: LockDocument = { v: 1, nonce: nonce(), sequence: highest, owner: null };
          return { body: JSON.stringify(right), value: true };
        },
      });
      return value;
    },

    async look(service) {
      const stored = await read(service);
      const owner = stored?.value.owner ?? null;
      const dead = stored !== undefined && whyDead(service, stored) !== undefined;
      const isStale = stored !== undefined && (dead || isSilent(stored));
      return {
        state: owner === null ? 'free' : isStale ? 'stale' : 'held',
        sequence: stored?.value.sequence ?? 0,
        owner,
        dead,
      };
    },
  };
}

const missing = (service: string, highest: number) =>
  `there is no lock of ${service}, although the sequence ${highest} was given out: another writer deleted it`;

function mistakeOf(
  service: string,
  { sequence }: LockDocument,
  highest: number,
  now: number,
): string | undefined {
  if (isBeyondReach(sequence + 1, now)) return `the lock of ${service} was changed: ${beyondReach(sequence)}`;
  if (sequence >= highest) return undefined;
  return `the lock of ${service} counts to ${sequence}, but the sequence ${highest} was given out already: an older lock was put back`;
}

function heldDocument(context: LockContext, request: LockRequest, sequence: number): HeldDocument {
  const now = new Date(context.clock.now()).toISOString();
  return {
    v: 1,
    nonce: nonce(),
    sequence,
    owner: {
      id: newUlid(context.clock.now()),
      who: context.who,
      ...context.here,
      deployment: request.deployment,
      command: request.command,
      since: now,
      beat: now,
    },
  };
}

/** Deployments could never get a higher sequence than one near the largest number, so agents would ignore them. */
function lockTooHigh(env: string, service: string, sequence: number): TriggerDeployError {
  return new TriggerDeployError(
    'RECORD_DAMAGED',
    `another writer changed the lock of ${service}: ${beyondReach(sequence)}`,
    { hint: `trigger-deploy doctor ${service} --repair --env ${env} sets the lock right` },
  );
}

function watchText(service: string, { who, command, deployment, since }: LockOwner): string {
  const minute = formatMs(STALE_MS);
  return `the lock of ${service} is held by ${who} (${command} ${deployment}) since ${since}, but has no heartbeat; watching it for ${minute} before taking it over`;
}

function takenText(service: string, { who, command, deployment }: LockOwner, why: string): string {
  return `taking over the lock of ${service} from ${who} (${command} ${deployment}): ${why}`;
}

/** LOCKED. `leftMs`: when the lock expires if no heartbeat comes. */
export function locked(
  { env, service, owner }: { env: string; service: string; owner: LockOwner },
  now: number,
  leftMs: number,
): TriggerDeployError {
  const ago = (time: string) => `${formatMs(Math.max(0, now - Date.parse(time)))} ago`;
  const { who, command, deployment, since, pid, host, beat } = owner;
  return new TriggerDeployError(
    'LOCKED',
    `${service} is locked by ${who} (${command} ${deployment}) since ${since}, ${ago(since)}`,
    {
      hint: `trigger-deploy watch ${deployment} --env ${env} follows it; pid ${pid} on ${host}, last heartbeat ${ago(beat)}; if that publisher died, the lock expires in ${formatMs(Math.max(1000, leftMs))}: retry then`,
    },
  );
}
