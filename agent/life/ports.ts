import type { LifeState } from './life-state.ts';
import type { Readings } from './notice.ts';

/** The interfaces that the life of an instance needs. A method with a `signal` ends soon after it aborts. */

export interface Notices {
  /** What the instance metadata says now. @throws where it cannot be read; a later read may succeed. */
  read(signal: AbortSignal): Promise<Readings>;
}

/** The lifecycle actions of this instance; `over` if none waits. @throws AWS errors. */
export interface Actions {
  complete(hook: string, result: 'CONTINUE' | 'ABANDON', signal: AbortSignal): Promise<'done' | 'over'>;
  heartbeat(hook: string, signal: AbortSignal): Promise<'done' | 'over'>;
}

export interface LifeStore {
  /** Undefined if there is none, or none that can be read. */
  load(): Promise<LifeState | undefined>;
  /** On disk when it resolves. */
  save(state: LifeState): Promise<void>;
}
