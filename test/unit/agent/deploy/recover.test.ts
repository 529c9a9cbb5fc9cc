import { describe, expect, test } from 'vitest';
import { isExhausted, MAX_RECOVERIES, resumed, stateAtStart } from '../../../../agent/deploy/recover.ts';
import { type Active, initialState, type ServiceState } from '../../../../agent/deploy/state.ts';
import { started, withActive, withWaiting } from '../../../../agent/deploy/state-transitions.ts';
import { PROGRESS_STATES } from '../../../../shared/states.ts';
import { orderOf } from '../../../support/fleet/fake-ports.ts';

const HERE = { instance: 'i-1', service: 'payments' };
const idle: ServiceState = {
  ...initialState('i-1', 'payments'),
  running: { version: '1.0', sequence: 3 },
  pinned: { since: '2026-01-31T08:00:00Z', version: '1.0' },
};
const under = (patch: Partial<Active> = {}, state = idle) =>
  withActive(started(withWaiting(state, orderOf('1.1')), { bootId: 'boot-1', now: 0 }), patch);
const activeAfter = (state: ServiceState, bootId: string): Active => {
  const { active } = resumed(state, bootId);
  if (!active) throw new Error('no deployment is active');
  return active;
};

describe('at a start', () => {
  test('the state of the journal is used as it is', () => {
    const state = under();
    expect(stateAtStart(state, HERE)).toEqual({ state, cloned: false });
  });

  test('an empty journal gives the initial state', () => {
    expect(stateAtStart(undefined, HERE)).toEqual({ state: initialState('i-1', 'payments'), cloned: false });
  });

  test("a journal of another instance is reset: its deployments, pins and reports are not this one's", () => {
    expect(stateAtStart(under(), { ...HERE, instance: 'i-2' })).toEqual({
      state: initialState('i-2', 'payments'),
      cloned: true,
    });
  });

  test('a journal of another service is not used', () => {
    expect(stateAtStart(under(), { ...HERE, service: 'orders' })).toEqual({
      state: initialState('i-1', 'orders'),
      cloned: false,
    });
  });
});

describe('a resumed deployment', () => {
  test('does not exist where none was active', () => {
    expect(resumed(idle, 'boot-2')).toBe(idle);
  });

  test.each(PROGRESS_STATES)('continues from %s after a restart of the agent', (state) => {
    const before = under({ state, invocationBefore: 'x' });
    expect(activeAfter(before, 'boot-1')).toMatchObject({ state, recoveries: 1, invocationBefore: 'x' });
  });

  test.each(['accepted', 'preparing', 'prepared', 'draining', 'switching', 'starting'] as const)(
    'continues from %s after a reboot, in the new boot',
    (state) => {
      expect(activeAfter(under({ state }), 'boot-2')).toMatchObject({
        state,
        bootId: 'boot-2',
        recoveries: 1,
      });
    },
  );

  test.each(['checking', 'watching'] as const)('after a reboot while %s starts and checks again', (state) => {
    expect(activeAfter(under({ state }), 'boot-2')).toMatchObject({ state: 'starting', bootId: 'boot-2' });
  });

  test('does not use the invocation of an earlier boot', () => {
    expect(
      activeAfter(under({ state: 'starting', invocationBefore: 'x' }), 'boot-2').invocationBefore,
    ).toBeUndefined();
  });

  test.each(PROGRESS_STATES)(
    'that rolls back never runs forward again, not even after a reboot while %s',
    (state) => {
      const back = under({ state, direction: 'back' });
      expect(activeAfter(back, 'boot-2')).toMatchObject({ state, direction: 'back', bootId: 'boot-2' });
    },
  );

  test('numbers its reports above any that may already have been sent', () => {
    expect(activeAfter(under({ n: 12 }), 'boot-1').n).toBeGreaterThanOrEqual(1000);
  });

  test('keeps its order, the previous version, and the hooks that have finished', () => {
    const before = under({ previous: '1.0', hooksDone: { beforeStop: 2, afterStart: 0 } });
    const after = activeAfter(before, 'boot-2');
    expect(after.order).toEqual(before.active?.order);
    expect(after).toMatchObject({ previous: '1.0', hooksDone: { beforeStop: 2, afterStart: 0 } });
  });

  test('changes nothing else in the state', () => {
    const before = under({ state: 'checking' });
    expect({ ...resumed(before, 'boot-2'), active: null }).toEqual({ ...before, active: null });
  });

  const held = (patch: Partial<Active>) =>
    withActive(
      started(withWaiting(idle, orderOf('1.1', { hold: true })), { bootId: 'boot-1', now: 0 }),
      patch,
    );

  test('does not count as a recovery while it is prepared and held', () => {
    let state = held({ state: 'prepared', recoveries: 2 });
    for (let i = 0; i < 3 * MAX_RECOVERIES; i += 1) state = resumed(state, `boot-${i}`);
    expect(state.active).toMatchObject({ recoveries: 2, state: 'prepared', bootId: 'boot-14' });
  });

  test.each(['accepted', 'preparing'] as const)(
    'counts as a recovery while a held deployment is %s',
    (state) => {
      expect(activeAfter(held({ state }), 'boot-1').recoveries).toBe(1);
    },
  );

  test('counts as a recovery once a prepared deployment was continued', () => {
    expect(activeAfter(under({ state: 'prepared' }), 'boot-1').recoveries).toBe(1);
  });

  test('is exhausted once it was resumed more often than allowed, and not before', () => {
    let state = under();
    for (let i = 0; i < MAX_RECOVERIES; i += 1) state = resumed(state, `boot-${i}`);
    expect(isExhausted(state.active as Active)).toBe(false);
    expect(isExhausted(activeAfter(state, 'boot-x'))).toBe(true);
  });
});
