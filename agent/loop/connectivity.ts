import { messageOf } from '../../shared/errors.ts';
import type { Reporter } from '../deploy/ports.ts';
import type { Inbox } from './agent.ts';

/** Whether this agent, since it was started, has really reached its queue and its record. */
export interface Reach {
  /** What was not reached yet, and why not, for a person; empty once all was. */
  missing(): string[];
  inbox(inner: Inbox): Inbox;
  reporter(inner: Reporter): Reporter;
}

/**
 * A receive that still waits after so long is one that AWS accepts: it refuses at once, and an empty queue keeps a
 * receive waiting for 20 s. ms
 */
const ACCEPTED_AFTER = 2000;

const QUEUE = 'its queue';
const RECORD = 'its record in S3';

export function createReach(): Reach {
  const missing = new Map([
    [QUEUE, 'not asked yet'],
    [RECORD, 'not asked yet'],
  ]);

  async function orNoted<T>(what: string, work: Promise<T>): Promise<T> {
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
      ensure: (signal) => orNoted(QUEUE, inner.ensure(signal)),
      async receive(signal) {
        const accepted = setTimeout(() => missing.delete(QUEUE), ACCEPTED_AFTER);
        try {
          const messages = await orNoted(QUEUE, inner.receive(signal));
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
        await orNoted(RECORD, inner.putInstance(record, signal));
        missing.delete(RECORD);
      },
    }),
  };
}
