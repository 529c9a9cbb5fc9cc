import type { TriggerDeployError } from '../../../shared/errors.ts';
import { isFinal } from '../../rollout/record-outcome.ts';
import type { Session } from '../../session.ts';
import { type Facts, openFactsReader } from './facts.ts';

/** Reads one service of an environment as often as each thing of it changes. */

/** How often the lock is read, ms: every change of a service takes it. */
const LOCK_MS = 5000;
/** How often desired state, pause and instances are read besides when the lock has changed, ms. */
const ALL_MS = 60_000;
/** The same while a publisher holds the lock: instances end; and while somebody looks at this very service, ms. */
const OFTEN_MS = 15_000;
/** A page that begins to look, or opens a dialog, gets nothing older than this, ms. */
export const FRESH_MS = 1000;

export interface ServiceReader {
  readonly facts: Facts | undefined;
  isDue(at: number): boolean;
  /** Reads what is due at `at`, ms of the monotonic clock. @throws AWS_*, RECORD_DAMAGED. */
  read(at: number): Promise<void>;
  /** All of it is due: what was read may have changed. */
  touch(): void;
  /** The same, if it was read more than `FRESH_MS` before `at`. */
  freshen(at: number): void;
  /** It cannot be read, and is tried again later. What was read before stays, as old as it is. */
  fail(at: number, why: TriggerDeployError): void;
}

const NOTHING = {
  ...{ desired: undefined, pause: undefined, newest: undefined, queue: [], instances: [] },
  lock: { state: 'free', sequence: 0, owner: null, dead: false },
  recordsAt: new Map(),
} satisfies Partial<Facts>;

/**
 * @param spread when the second read comes, as a share of the time between two: reads of many services at one time would
 * be slower, and no fresher.
 * @param changed called when `facts` has changed.
 * @param isNamed whether somebody looks at this very service.
 */
export function openServiceReader(
  session: Session,
  service: string,
  { spread, changed, isNamed }: { spread: number; changed: () => void; isNamed: () => boolean },
): ServiceReader {
  const from = openFactsReader(session, service);
  let facts: Facts | undefined;
  let due = { lock: 0, all: 0, newest: Number.POSITIVE_INFINITY };
  /** When the last read of all of it began. */
  let readAt = Number.NEGATIVE_INFINITY;
  /** What changes while it is read may not be in what was read. */
  let isTouched = false;

  function touch(): void {
    isTouched = true;
    due = { ...due, lock: 0, all: 0 };
  }

  function replace(next: Facts): void {
    facts = next;
    changed();
  }

  async function readLock(known: Facts, at: number): Promise<void> {
    due.lock = at + LOCK_MS;
    const [lock, queue] = await from.lock();
    if (isOther(lock, known.lock)) return await readAll(at);
    const newest = lock.owner === null ? known.newest : await readUnderWay(known.newest);
    replace({ ...(facts ?? known), lock, queue, newest });
  }

  /** The record of the deployment that goes on. The rollback of one that has failed is another one. */
  async function readUnderWay(known: Facts['newest']): Promise<Facts['newest']> {
    if (known === undefined || isFinal(known)) return known;
    const found = (await from.record(known.deployment)) ?? known;
    if (isFinal(found)) due.newest = 0;
    return found;
  }

  async function readAll(at: number): Promise<void> {
    const before = facts;
    isTouched = false;
    const found = await from.read();
    readAt = at;
    // A deployment that nobody drives is settled by a publisher that takes the lock: others are not read again.
    const isUnderWay = before?.newest !== undefined && !isFinal(before.newest);
    if (before === undefined || isOther(before.lock, found.lock) || isUnderWay) due.newest = 0;
    const share = before === undefined ? spread : 1;
    due.lock = at + LOCK_MS * share;
    due.all = at + (found.lock.owner === null && !isNamed() ? ALL_MS : OFTEN_MS) * share;
    if (isTouched) touch();
    replace({ ...found, newest: before?.newest });
    // The first snapshot does not wait for what has ended.
    const isFirst = before === undefined && found.lock.owner === null;
    if (due.newest <= at && !isFirst) await readNewest({ ...found, newest: before?.newest }, at);
  }

  async function readNewest(known: Facts, at: number): Promise<void> {
    due.newest = Number.POSITIVE_INFINITY;
    try {
      const newest = await from.newest(known);
      replace({ ...(facts ?? known), newest });
    } catch (error) {
      due.newest = at;
      throw error;
    }
  }

  return {
    get facts() {
      return facts;
    },
    isDue: (at) => facts === undefined || Math.min(due.lock, due.all, due.newest) <= at,
    async read(at) {
      if (facts === undefined || due.all <= at) return await readAll(at);
      if (due.newest <= at) await readNewest(facts, at);
      if (due.lock <= at) await readLock(facts, at);
    },
    touch,
    freshen(at) {
      if (at - readAt > FRESH_MS) touch();
    },
    fail(at, why) {
      due = { lock: at + ALL_MS, all: at + ALL_MS, newest: Number.POSITIVE_INFINITY };
      replace({ ...NOTHING, service, readAt: session.clock.now(), ...facts, trouble: why });
    },
  };
}

const isOther = (one: Facts['lock'], other: Facts['lock']) =>
  one.owner?.id !== other.owner?.id || one.sequence !== other.sequence;
