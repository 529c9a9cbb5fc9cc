import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { endingOf, order as orderSchema, type ServiceState } from '../../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withEnding,
  withSequence,
  withWaiting,
} from '../../../../agent/deploy/state-transitions.ts';
import { ENDINGS } from '../../../../shared/states.ts';
import {
  AT,
  active,
  activeOf,
  CONTEXT,
  EMPTY,
  endedBy,
  idOf,
  ORDER,
  reportOf,
} from '../../../support/agent/state-fixture.ts';
import { orderOf } from '../../../support/fleet/fake-ports.ts';

describe('the highest sequence seen', () => {
  test('is none at first, and rises', () => {
    expect(EMPTY.seen).toBeNull();
    const once = withSequence(EMPTY, 5, idOf(1));
    expect(once.seen).toEqual({ sequence: 5, deployment: idOf(1) });
    expect(withSequence(once, 6, idOf(2)).seen).toEqual({ sequence: 6, deployment: idOf(2) });
  });

  test.each([
    ['a lower sequence', 4],
    ['the same sequence', 5],
  ])('%s changes nothing, and so nothing is journalled', (_, sequence) => {
    const state = withSequence(EMPTY, 5, idOf(1));
    expect(withSequence(state, sequence, idOf(2))).toBe(state);
  });

  test('never falls, and belongs to the first deployment that had it', () => {
    const claim = fc.record({ sequence: fc.integer({ min: 1, max: 9 }), n: fc.nat(20) });
    fc.assert(
      fc.property(fc.array(claim, { minLength: 1 }), (claims) => {
        const last = claims.reduce((state, { sequence, n }) => withSequence(state, sequence, idOf(n)), EMPTY);
        const highest = Math.max(...claims.map(({ sequence }) => sequence));
        const first = claims.find(({ sequence }) => sequence === highest);
        expect(last.seen).toEqual({ sequence: highest, deployment: idOf(first?.n ?? -1) });
      }),
    );
  });

  test('a pin holds until a higher sequence is seen', () => {
    const pinned = { ...withSequence(EMPTY, 5, idOf(1)), pinned: { since: AT, version: '1.0' } };
    expect(withSequence(pinned, 5, idOf(2)).pinned).not.toBeNull();
    expect(withSequence(pinned, 6, idOf(2)).pinned).toBeNull();
  });
});

describe('an order', () => {
  test('starts as accepted, forward, in this boot', () => {
    const state = active();
    expect(state.waiting).toBeNull();
    expect(state.active).toMatchObject({
      order: ORDER,
      state: 'accepted',
      direction: 'forward',
      changed: true,
      fresh: false,
      bootId: 'boot-1',
      startedAt: 1000,
      recoveries: 0,
    });
  });

  test('that waits is replaced by a newer one', () => {
    const newer = orderOf('1.2');
    expect(withWaiting(withWaiting(EMPTY, ORDER), newer).waiting).toBe(newer);
  });

  test.each<[string, ServiceState]>([
    ['when none waits', EMPTY],
    ['while another is active', withWaiting(active(), orderOf('1.2'))],
  ])('does not start %s', (_, state) => {
    expect(() => started(state, CONTEXT)).toThrow('started');
  });

  test.each(['failed', 'rolled-back', 'broken'] as const)(
    'of a version that %s here installs it again',
    (ending) => {
      const again = orderOf('1.1');
      expect(activeOf(active(again, endedBy(ending))).fresh).toBe(true);
      expect(activeOf(active(orderOf('1.2'), endedBy(ending))).fresh).toBe(false);
    },
  );

  test.each(['cancelled', 'superseded'] as const)(
    'of a version that was %s here may use the existing release',
    (ending) => {
      expect(activeOf(active(orderOf('1.1'), endedBy(ending))).fresh).toBe(false);
    },
  );

  test('of a version that succeeded after it failed may use the existing release', () => {
    const state = endedBy('succeeded', orderOf('1.1'), endedBy('failed'));
    expect(activeOf(active(orderOf('1.1'), state)).fresh).toBe(false);
  });

  test.each<[string, object]>([
    ['of a version that is a path', { version: '../1' }],
    ['of a version named latest', { version: 'latest' }],
    ['without artifacts', { artifacts: [] }],
    ['from an unknown source', { source: 'rumour' }],
    ['below sequence 0', { sequence: -1 }],
  ])('%s is not read back from a journal', (_, wrong) => {
    expect(orderSchema.safeParse(ORDER).success).toBe(true);
    expect(orderSchema.safeParse({ ...ORDER, ...wrong }).success).toBe(false);
  });
});

describe('the active deployment', () => {
  test('is changed by the patch, and by nothing else', () => {
    const state = active();
    const next = withActive(state, { state: 'preparing', n: 3 });
    expect(next.active).toEqual({ ...state.active, state: 'preparing', n: 3 });
    expect({ ...next, active: null }).toEqual({ ...state, active: null });
    expect(activeOf(state).state).toBe('accepted');
  });

  test('must exist to be changed or ended', () => {
    expect(() => withActive(EMPTY, { n: 1 })).toThrow('withActive');
    expect(() => withActiveEnded(EMPTY, 'failed', reportOf(ORDER, 'failed'))).toThrow('withActiveEnded');
  });
});

describe('an ending', () => {
  test.each(ENDINGS)(
    '%s ends it: none is active, the ending is kept, and its report is in the outbox',
    (ending) => {
      const order = { ...ORDER, replyTo: 'reply-queue' };
      const state = withActiveEnded(active(order), ending, reportOf(order, ending));
      const entry = { report: reportOf(order, ending), replyTo: 'reply-queue' };
      expect(state.active).toBeNull();
      expect(state.endings).toEqual([entry]);
      expect(state.outbox).toEqual([entry]);
      expect(endingOf(state, order.deployment)).toEqual(entry);
    },
  );

  test('leaves the waiting order as it is', () => {
    const next = orderOf('1.2');
    const state = withWaiting(active(), next);
    expect(withActiveEnded(state, 'superseded', reportOf(ORDER, 'superseded')).waiting).toBe(next);
  });

  test('succeeded makes its version the running one, and keeps the one before', () => {
    const first = endedBy('succeeded', orderOf('1.0', { sequence: 6 }));
    expect(first.running).toMatchObject({ version: '1.0', sequence: 6 });
    expect(first.previousGood).toBeNull();
    const second = endedBy('succeeded', ORDER, first);
    expect(second.running).toEqual({ version: '1.1', sequence: 7, deployment: ORDER.deployment });
    expect(second.previousGood).toBe('1.0');
  });

  test('succeeded with the running version keeps the one before it', () => {
    const two = endedBy('succeeded', ORDER, endedBy('succeeded', orderOf('1.0')));
    const again = orderOf('1.1', { sequence: 8 });
    expect(endedBy('succeeded', again, two)).toMatchObject({ previousGood: '1.0', running: { sequence: 8 } });
  });

  test('succeeded removes the failures of its version, and of no other', () => {
    const failed = endedBy('failed', orderOf('1.2'), endedBy('failed'));
    const state = endedBy('succeeded', orderOf('1.1'), failed);
    expect(state.failures.map(({ version }) => version)).toEqual(['1.2']);
  });

  test.each(['failed', 'rolled-back'] as const)(
    '%s leaves the running version, and records the failure',
    (ending) => {
      const before = endedBy('succeeded', orderOf('1.0', { sequence: 6 }));
      const state = endedBy(ending, ORDER, before);
      expect(state.running).toEqual(before.running);
      expect(state.previousGood).toBe(before.previousGood);
      expect(state.failures).toEqual([{ sequence: 7, deployment: ORDER.deployment, version: '1.1' }]);
    },
  );

  test('broken leaves no running version', () => {
    const state = endedBy('broken', ORDER, endedBy('succeeded', orderOf('1.0')));
    expect(state.running).toBeNull();
    expect(state.failures).toHaveLength(1);
  });

  test.each(['superseded', 'cancelled', 'rejected'] as const)(
    '%s is not a failure of the version',
    (ending) => {
      const before = endedBy('succeeded', orderOf('1.0'));
      expect(endedBy(ending, ORDER, before)).toMatchObject({ running: before.running, failures: [] });
    },
  );

  test('succeeded pins the service after a local order, and only then', () => {
    expect(endedBy('succeeded', { ...ORDER, source: 'local' }).pinned).toEqual({ since: AT, version: '1.1' });
    expect(endedBy('failed', { ...ORDER, source: 'local' }).pinned).toBeNull();
    expect(endedBy('succeeded', { ...ORDER, source: 'desired' }).pinned).toBeNull();
    expect(endedBy('succeeded').pinned).toBeNull();
  });

  test('of a deployment that was never active leaves the active one as it is', () => {
    const state = withEnding(active(), reportOf(orderOf('1.2'), 'superseded'), undefined);
    expect(state.active).toEqual(active().active);
    expect(state.outbox[0]).not.toHaveProperty('replyTo');
  });

  test('of an unknown deployment is undefined', () => {
    expect(endingOf(endedBy('succeeded'), idOf(1))).toBeUndefined();
  });
});
