import type { Journal } from './ports.ts';
import type { ServiceState } from './state.ts';

/**
 * Holds the state of one service. Changes are made one after another, and each is on disk before it can be read, so a
 * state that was read is never lost.
 */
export interface StateStore {
  read(): ServiceState;
  /** Journals the new state, then returns it. @throws what the journal throws; the state is then unchanged. */
  update(change: (state: ServiceState) => ServiceState): Promise<ServiceState>;
}

export function createStateStore(initial: ServiceState, journal: Journal): StateStore {
  let state = initial;
  let last: Promise<unknown> = Promise.resolve();
  return {
    read: () => state,
    update(change) {
      const written = last.then(async () => {
        const next = change(state);
        if (next !== state) {
          await journal.append(next);
          state = next;
        }
        return state;
      });
      last = written.catch(() => undefined);
      return written;
    },
  };
}
