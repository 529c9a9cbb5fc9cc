import * as z from 'zod';
import { ulid } from '../../shared/names.ts';
import { processFields } from './process-identity.ts';

/** `lock.json`: who holds the lock of a service, and the sequence, which is the fencing token. */

/** After this time without a heartbeat, a lock can be taken over and a queue entry is dropped, ms. */
export const STALE_MS = 60_000;
/** How often the owner of a lock, or of a place in the queue, writes a heartbeat, ms. */
export const HEARTBEAT_MS = 15_000;

const owner = z.looseObject({
  /** A new one each time the lock is taken. */
  id: ulid,
  /** The `issuedBy` of the publisher: `user@host`, or a CI build. */
  who: z.string(),
  ...processFields,
  deployment: ulid,
  /** The verb: `deploy`, `rollback`, `watch`. */
  command: z.string(),
  since: z.iso.datetime(),
  /** The last heartbeat. */
  beat: z.iso.datetime(),
});
export type LockOwner = z.infer<typeof owner>;

export const lockDocument = z.looseObject({
  v: z.literal(1),
  nonce: z.string(),
  sequence: z.int().min(0),
  owner: owner.nullable(),
});
export type LockDocument = z.infer<typeof lockDocument>;
export type HeldDocument = LockDocument & { owner: LockOwner };
