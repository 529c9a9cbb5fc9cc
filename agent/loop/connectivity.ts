import { messageOf } from '../../shared/errors.ts';
import type { Reporter } from '../deploy/ports.ts';
import type { Inbox } from './ports.ts';

/** Observes whether this process has reached its queue and its record in S3. A new version of the agent must do so. */
export interface Connectivity {
  /** What was not reached yet, each with the reason, for a message; empty once both were reached. */
  missing(): string[];
  inbox(inner: Inbox): Inbox;
  reporter(inner: Reporter): Reporter;
}

/**
 * A receive that has no answer after this time, ms, was accepted: AWS refuses a receive at once, and answers one on an
 * empty queue after 20 s.
 */
const ACCEPTED_AFTER = 2000;

const QUEUE = 'its queue';
const RECORD = 'its record in S3';

export function createConnectivity(): Connectivity {
  const missing = new Map([
    [QUEUE, 'not tried yet'],
    [RECORD, 'not tried yet'],
  ]);

  async function noteFailure<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (missing.has(what)) missing.set(what, messageOf(error));
      throw error;
    }
  }

  return {
    missing: () => [...missing].map(([what, why]) => `${what}: ${why}`),

    inbox: (inner) => ({
      ...inner,
      ensure: (signal) => noteFailure(QUEUE, inner.ensure(signal)),
      async receive(signal) {
        const accepted = setTimeout(() => missing.delete(QUEUE), ACCEPTED_AFTER);
        try {
          const messages = await noteFailure(QUEUE, inner.receive(signal));
          missing.delete(QUEUE);
          return messages;
        } finally {
          clearTimeout(accepted);
        }
      },
    }),

    reporter: (inner) => ({
      ...inner,
      async putInstance(record, signal) {
        await noteFailure(RECORD, inner.putInstance(record, signal));
        missing.delete(RECORD);
      },
    }),
  };
}
