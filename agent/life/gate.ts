import type { Reporter } from '../deploy/ports.ts';
import type { Heartbeat, Inbox } from '../loop/ports.ts';

/**
 * Whether the instance takes part in its environment. While the gate is closed, no queue is created or read and no record
 * of the instance is written: the loops go on, and find nothing.
 */
export interface Gate {
  set(isOpen: boolean): void;
  inbox(inner: Inbox): Inbox;
  reporter(inner: Reporter): Reporter;
  heartbeat(inner: Heartbeat): Heartbeat;
}

/** How often a closed gate looks whether it was opened, ms. */
const LOOK_EVERY = 5000;

export function createGate(sleep: (ms: number, signal: AbortSignal) => Promise<void>): Gate {
  let isOpen = true;
  return {
    set(open) {
      isOpen = open;
    },

    inbox: (inner) => ({
      ...inner,
      async ensure(signal) {
        if (isOpen) await inner.ensure(signal);
      },
      resubscribe: async (signal) => isOpen && (await inner.resubscribe(signal)),
      async receive(signal) {
        // When it opens again, the queue is missing: the receiver then creates it, and catches up.
        if (isOpen) return await inner.receive(signal);
        await sleep(LOOK_EVERY, signal);
        return [];
      },
    }),

    heartbeat: (inner) => ({
      async send(signal) {
        if (isOpen) await inner.send(signal);
      },
    }),

    reporter: (inner) => ({
      ...inner,
      async putInstance(record, signal) {
        if (isOpen) await inner.putInstance(record, signal);
      },
    }),
  };
}
