import { ORDER_OF_STATES } from '../../shared/report.ts';
import { type Active, initialState, type ServiceState } from './state.ts';
import { withActive } from './state-transitions.ts';

/**
 * What a start of the agent makes of what the journal holds. Pure: the work itself is done by the same
 * steps as ever, begun where the journal says.
 */

/** A deployment that took the agent down this often is not tried again. */
export const MAX_RECOVERIES = 5;

/** Reports made but not journalled before the agent died had lower numbers than this adds. */
const REPORT_NUMBER_GAP = 1000;

/** The state to start from, and whether the directory came from another instance (a golden image). */
export function stateAtStart(
  loaded: ServiceState | undefined,
  here: { instance: string; service: string },
): { state: ServiceState; cloned: boolean } {
  if (!loaded || loaded.service !== here.service) {
    return { state: initialState(here.instance, here.service), cloned: false };
  }
  // The releases on disk are kept; what the other instance was asked, and said, is not ours.
  if (loaded.instance !== here.instance) {
    return { state: initialState(here.instance, here.service), cloned: true };
  }
  return { state: loaded, cloned: false };
}

/** The active deployment, ready to be taken up again after the agent, or the machine, went away in it. */
export function resumed(state: ServiceState, bootId: string): ServiceState {
  if (!state.active) return state;
  const { order, recoveries, n, checkpointed } = state.active;
  // What waits to be told to go on takes nothing down, however long it waits.
  const isHeld = order.hold && state.active.state === 'prepared';
  const counted = checkpointed || isHeld ? recoveries : recoveries + 1;
  const patch: Partial<Active> = { recoveries: counted, n: n + REPORT_NUMBER_GAP, checkpointed: false };
  if (state.active.bootId === bootId) return withActive(state, patch);
  return withActive(state, { ...patch, ...afterBoot(state.active, bootId) });
}

/** After a reboot the check begins anew: another process, other counters, a fresh deadline. */
function afterBoot(active: Active, bootId: string): Partial<Active> {
  const reset: Partial<Active> = { bootId, invocationBefore: undefined };
  if (active.direction === 'back' || ORDER_OF_STATES[active.state] <= ORDER_OF_STATES.switching) return reset;
  return { ...reset, state: 'starting' };
}

/** Whether it kept taking the agent down: then it goes back if it was going forward, else it is broken. */
export function isExhausted(active: Active): boolean {
  return active.recoveries > MAX_RECOVERIES;
}
