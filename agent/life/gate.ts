import { TriggerDeployError } from '../../shared/errors.ts';
import type { Reporter } from '../deploy/ports.ts';
import type { Heartbeat, Inbox } from '../loop/ports.ts';

/**
 * Whether the instance takes part in its environment. While the gate is closed, no queue is created or read and no record
 * of the instance is written: the loop that receives fails, and goes on when the gate is open again.
 */
export interface Gate {
  set(isOpen: boolean): void;
  inbox(inner: Inbox): Inbox;
  reporter(inner: Reporter): Reporter;
  heartbeat(inner: Heartbeat): Heartbeat;
}

export function createGate(): Gate {
  let isOpen = true;
  /** Runs `work`. @throws INSTANCE_TERMINATING while the gate is closed. */
  const through = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isOpen) return await work();
    const hint = 'nothing: an instance that stays after all comes back by itself';
    throw new TriggerDeployError('INSTANCE_TERMINATING', 'the instance has left its environment', { hint });
  };
  return {
    set(open) {
      isOpen = open;
    },

    inbox: (inner) => ({
      ...inner,
      ensure: (signal) => through(() => inner.ensure(signal)),
      resubscribe: (signal) => through(() => inner.resubscribe(signal)),
      receive: (signal) => through(() => inner.receive(signal)),
    }),

    // These loops have nothing to say while it is closed.
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
