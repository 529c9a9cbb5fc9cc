import { ORDER_OF_STATES } from '../../shared/report.ts';
import { type Active, initialState, type ServiceState } from './state.ts';
import { withActive } from './state-transitions.ts';

/**
 * The state with which the agent starts, derived from the journal. Pure: the same steps do the work, starting at the
 * journalled state.
 */

/** A deployment that stopped the agent more often than this is not continued. */
export const MAX_RECOVERIES = 5;

/** Added to the report number at each recovery: more than the number of reports sent since the last journal write. */
const REPORT_NUMBER_GAP = 1000;

/** The state to start from, and whether it was copied from another instance (a golden image). */
export function stateAtStart(
  loaded: ServiceState | undefined,
  here: { instance: string; service: string },
): { state: ServiceState; cloned: boolean } {
  if (!loaded || loaded.service !== here.service) {
    return { state: initialState(here.instance, here.service), cloned: false };
  }
  // The releases on disk are kept; orders and reports of the other instance are not.
  if (loaded.instance !== here.instance) {
    return { state: initialState(here.instance, here.service), cloned: true };
  }
  return { state: loaded, cloned: false };
}

/** The state in which the active deployment resumes, after the agent or the machine stopped during it. */
export function resumed(state: ServiceState, bootId: string): ServiceState {
  if (!state.active) return state;
  const { order, recoveries, n, checkpointed } = state.active;
  // A held deployment does no work, so it cannot have stopped the agent.
  const isHeld = order.hold && state.active.state === 'prepared';
  const counted = checkpointed || isHeld ? recoveries : recoveries + 1;
  const patch: Partial<Active> = { recoveries: counted, n: n + REPORT_NUMBER_GAP, checkpointed: false };
  if (state.active.bootId === bootId) return withActive(state, patch);
  return withActive(state, { ...patch, ...afterBoot(state.active, bootId) });
}

/** After a reboot the unit is started and checked again: process, counters and deadlines are new. */
function afterBoot(active: Active, bootId: string): Partial<Active> {
  const reset: Partial<Active> = { bootId, invocationBefore: undefined };
  if (active.direction === 'back' || ORDER_OF_STATES[active.state] <= ORDER_OF_STATES.switching) return reset;
  return { ...reset, state: 'starting' };
}

/** Whether it stopped the agent too often: forward, it is rolled back; during a rollback, the service is broken. */
export function isExhausted(active: Active): boolean {
  return active.recoveries > MAX_RECOVERIES;
}
