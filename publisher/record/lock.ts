import type { Clock } from '../../shared/clock.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { keys, newUlid } from '../../shared/names.ts';
import { formatMs } from '../../shared/retry.ts';
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
import type { Origin } from './origin.ts';

/**
 * The lock lets one publisher at a time change a service, and gives each owner a fencing token, the sequence.
 *
 * One conditional PUT takes the lock and increases the sequence by 1 (gaps are harmless). The owner writes a heartbeat
 * every `HEARTBEAT_MS`. Another publisher takes the lock over only after it has itself watched the ETag unchanged for
 * `STALE_MS`, on its monotonic clock. The object is never deleted, so that the sequence never decreases.
 */

/** How often a lock without a heartbeat is read while it is watched, ms. */
const WATCH_MS = 2000;

/** The lock at the time of a read. `stale`: it has an owner that wrote no heartbeat for `STALE_MS`. */
interface LockView {
  state: 'free' | 'held' | 'stale';
  sequence: number;
  owner: LockOwner | null;
  /** Whether this publisher itself has watched the lock for `STALE_MS` without a heartbeat: it can take it over now. */
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
   * Takes the lock. A stale lock is first watched until it has not changed for `STALE_MS`, then taken over.
   * @throws LOCKED when its owner wrote a heartbeat within the last `STALE_MS`.
   */
  take(request: LockRequest): Promise<Lock>;
  /** Reads the lock. Repeated reads count as watching it: after `STALE_MS` without a heartbeat it is `dead`. */
  look(service: string): Promise<LockView>;
}

export interface LockContext {
  env: string;
  objects: Objects;
  clock: Clock;
  who: string;
  origin: Origin;
  warn: (text: string) => void;
  /** Reads the highest sequence that is known to be used; called only when `lock.json` is missing. */
  floor: (service: string) => Promise<number>;
}

export function openLocks(context: LockContext): Locks {
  const { env, objects, clock, warn } = context;
  /** By service: the ETag of the lock, and when this publisher first saw this ETag (ms, monotonic clock). */
  const observations = new Map<string, { etag: string; first: number }>();

  async function read(service: string): Promise<StoredValue<LockDocument> | undefined> {
    const stored = await objects.readJson(keys.lock(env, service), lockDocument);
    if (stored === undefined) observations.delete(service);
    else if (observations.get(service)?.etag !== stored.etag) {
      observations.set(service, { etag: stored.etag, first: clock.monotonic() });
    }
    return stored;
  }

  const unchangedMs = (service: string) =>
    clock.monotonic() - (observations.get(service)?.first ?? clock.monotonic());
  // Both times are S3's: this machine's clock may be an hour off.
  const isSilent = (stored: StoredValue<LockDocument>) => clock.now() - stored.lastModified >= STALE_MS;

  /** The stored lock, once it is free or its owner is certainly dead. @throws LOCKED. */
  async function readTakeable({ service, signal }: LockRequest) {
    let watched: string | undefined;
    for (;;) {
      const stored = await read(service);
      const owner = stored?.value.owner;
      if (!stored || !owner || unchangedMs(service) >= STALE_MS) return stored;
      if (!isSilent(stored)) throw locked(service, owner, clock.now());
      if (watched !== owner.id) warn(watchText(service, owner));
      watched = owner.id;
      await clock.sleep(WATCH_MS, signal);
    }
  }

  return {
    async take(request) {
      const key = keys.lock(env, request.service);
      const taken = await compareAndSwap(objects, {
        key,
        // After a conflict, another publisher took the lock first, or the owner is alive. The next read shows which.
        read: () => readTakeable(request),
        async next(stored) {
          const reached = stored?.value.sequence ?? (await context.floor(request.service));
          const value = heldDocument(context, request, reached + 1);
          return { body: JSON.stringify(value), value };
        },
      });
      return holdLock(context, key, taken.value, taken.etag ?? '');
    },

    async look(service) {
      const stored = await read(service);
      const owner = stored?.value.owner ?? null;
      const isStale = stored !== undefined && (isSilent(stored) || unchangedMs(service) >= STALE_MS);
      return {
        state: owner === null ? 'free' : isStale ? 'stale' : 'held',
        sequence: stored?.value.sequence ?? 0,
        owner,
        dead: owner !== null && unchangedMs(service) >= STALE_MS,
      };
    },
  };
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
      host: context.origin.host,
      pid: process.pid,
      deployment: request.deployment,
      command: request.command,
      since: now,
      beat: now,
    },
  };
}

function watchText(service: string, { who, command, deployment, since }: LockOwner): string {
  const minute = formatMs(STALE_MS);
  return `the lock of ${service} is held by ${who} (${command} ${deployment}) since ${since}, but has no heartbeat; watching it for ${minute} before taking it over`;
}

function locked(service: string, owner: LockOwner, now: number): TriggerDeployError {
  const ago = (time: string) => `${formatMs(Math.max(0, now - Date.parse(time)))} ago`;
  const { who, command, deployment, since, pid, host, beat } = owner;
  return new TriggerDeployError(
    'LOCKED',
    `${service} is locked by ${who} (${command} ${deployment}) since ${since}, ${ago(since)}`,
    {
      hint: `trigger-deploy watch ${deployment} follows it; pid ${pid} on ${host}, last heartbeat ${ago(beat)}; if that publisher died, the lock expires after ${formatMs(STALE_MS)}: retry then`,
    },
  );
}
