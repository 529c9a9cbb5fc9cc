import { ORDER_OF_STATES } from '../../shared/states.ts';
import { type Active, initialState, type ServiceState } from './state.ts';
import { withActive } from './state-transitions.ts';

/**
 * Derives from the journal the state with which the agent starts. Pure. A recovery has no steps of its own: the usual
 * steps run from the journalled state on.
 */

/** A deployment during which the agent died more often than this is not continued. */
export const MAX_RECOVERIES = 5;
/**
 * A deployment during which the agent was stopped cleanly more often than this is not continued. An operator may restart
 * the agent a few times; so many restarts come from the deployment itself, for example from a hook that restarts it.
 */
const MAX_RESTARTS = 20;

/**
 * Added to the report number at each resume. Reports sent after the last journal write have numbers that the journal
 * does not know; this gap is larger than their usual count.
 */
const REPORT_NUMBER_GAP = 1000;

/**
 * The state to start with. `cloned`: the journal was written on another instance (this one was made from its image),
 * and the state is a new one.
 */
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
  const { order, recoveries, restarts = 0, n, checkpointed } = state.active;
  // A held deployment does no work, so it cannot have stopped the agent.
  const isHeld = order.hold && state.active.state === 'prepared';
  const counted = isHeld ? {} : checkpointed ? { restarts: restarts + 1 } : { recoveries: recoveries + 1 };
  const patch: Partial<Active> = { ...counted, n: n + REPORT_NUMBER_GAP, checkpointed: false };
  if (state.active.bootId === bootId) return withActive(state, patch);
  return withActive(state, { ...patch, ...afterBoot(state.active, bootId) });
}

/** After a reboot, a deployment past the switch starts and checks the unit again: the unit has no process any more. */
function afterBoot(active: Active, bootId: string): Partial<Active> {
  const reset: Partial<Active> = {
    bootId,
    invocationBefore: undefined,
    processesBefore: undefined,
    processesBeforeRollback: undefined,
  };
  if (active.direction === 'back' || ORDER_OF_STATES[active.state] <= ORDER_OF_STATES.switching) return reset;
  return { ...reset, state: 'starting' };
}

/**
 * Whether the agent died too often during the deployment. The deployment then ends `failed` (nothing was switched), is
 * rolled back, or ends `broken` (during a rollback).
 */
export function isExhausted(active: Active): boolean {
  return active.recoveries > MAX_RECOVERIES || (active.restarts ?? 0) > MAX_RESTARTS;
}
