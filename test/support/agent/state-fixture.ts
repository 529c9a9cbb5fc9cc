import { type Active, initialState, type Order, type ServiceState } from '../../../agent/deploy/state.ts';
import { started, withActiveEnded, withWaiting } from '../../../agent/deploy/state-transitions.ts';
import { newUlid } from '../../../shared/names.ts';
import type { Report } from '../../../shared/report.ts';
import type { Ending, State } from '../../../shared/states.ts';
import { orderOf } from '../fleet/fake-ports.ts';

export const AT = '2026-01-31T08:00:00.000Z';
export const EMPTY = initialState('i-1', 'payments');
export const CONTEXT = { bootId: 'boot-1', now: 1000 };
export const ORDER = orderOf('1.1', { sequence: 7 });
export const IDS = Array.from({ length: 300 }, (_, n) => newUlid(n));
export const idOf = (n: number) => IDS[n] ?? '';

export const reportOf = ({ deployment, sequence, version }: Order, state: State, n = 9): Report => ({
  kind: 'report',
  v: 1,
  deployment,
  env: 'dev',
  service: 'payments',
  instance: 'i-1',
  sequence,
  n,
  at: AT,
  state,
  version,
  timings: {},
});
export const active = (order = ORDER, from = EMPTY) => started(withWaiting(from, order), CONTEXT);
export const endedBy = (ending: Ending, order = ORDER, from = EMPTY) =>
  withActiveEnded(active(order, from), ending, reportOf(order, ending));
export const activeOf = (state: ServiceState): Active => {
  if (!state.active) throw new Error('no deployment is active');
  return state.active;
};
