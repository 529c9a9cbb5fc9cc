import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Active,
  beforeSwitch,
  brokenBy,
  endingOf,
  initialState,
  type Order,
  order as orderSchema,
  protectedVersions,
  type ServiceState,
  serviceState,
} from '../../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withEnding,
  withOutgoing,
  withoutDelivered,
  withSequence,
  withTombstone,
  withWaiting,
} from '../../../../agent/deploy/state-transitions.ts';
import { newUlid } from '../../../../shared/names.ts';
import { ENDINGS, type Ending, PROGRESS_STATES, type Report, type State } from '../../../../shared/report.ts';
import { artifactsOf, orderOf } from '../../../support/fleet/fake-ports.ts';

const AT = '2026-01-31T08:00:00.000Z';
const EMPTY = initialState('i-1', 'payments');
const CONTEXT = { bootId: 'boot-1', now: 1000 };
const ORDER = orderOf('1.1', { sequence: 7 });
const IDS = Array.from({ length: 300 }, (_, n) => newUlid(n));
const idOf = (n: number) => IDS[n] ?? '';

const reportOf = ({ deployment, sequence, version }: Order, state: State, n = 9): Report => ({
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
const active = (order = ORDER, from = EMPTY) => started(withWaiting(from, order), CONTEXT);
const endedBy = (ending: Ending, order = ORDER, from = EMPTY) =>
  withActiveEnded(active(order, from), ending, reportOf(order, ending));
const activeOf = (state: ServiceState): Active => {
  if (!state.active) throw new Error('nothing is active');
  return state.active;
};

describe('what was seen', () => {
  test('begins with nothing, and rises', () => {
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

  test('never sinks, and belongs to the first that claimed it', () => {
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

  test('a pin holds until something higher is seen', () => {
    const pinned = { ...withSequence(EMPTY, 5, idOf(1)), pinned: { since: AT, version: '1.0' } };
    expect(withSequence(pinned, 5, idOf(2)).pinned).not.toBeNull();
    expect(withSequence(pinned, 6, idOf(2)).pinned).toBeNull();
  });
});

describe('an order', () => {
  test('begins as accepted, forward, in this boot', () => {
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

  test('that waits gives its place to the newest', () => {
    const newer = orderOf('1.2');
    expect(withWaiting(withWaiting(EMPTY, ORDER), newer).waiting).toBe(newer);
  });

  test.each<[string, ServiceState]>([
    ['when nothing waits', EMPTY],
    ['while another is active', withWaiting(active(), orderOf('1.2'))],
  ])('does not begin %s', (_, state) => {
    expect(() => started(state, CONTEXT)).toThrow('started');
  });

  test.each(['failed', 'rolled-back', 'broken'] as const)(
    'of a version that %s here installs it anew',
    (ending) => {
      const again = orderOf('1.1');
      expect(activeOf(active(again, endedBy(ending))).fresh).toBe(true);
      expect(activeOf(active(orderOf('1.2'), endedBy(ending))).fresh).toBe(false);
    },
  );

  test.each(['cancelled', 'superseded'] as const)(
    'of a version that was %s here may use what is there',
    (ending) => {
      expect(activeOf(active(orderOf('1.1'), endedBy(ending))).fresh).toBe(false);
    },
  );

  test('of a version that succeeded after it failed may use what is there', () => {
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
  test('is changed by what is given, and by nothing else', () => {
    const state = active();
    const next = withActive(state, { state: 'preparing', n: 3 });
    expect(next.active).toEqual({ ...state.active, state: 'preparing', n: 3 });
    expect({ ...next, active: null }).toEqual({ ...state, active: null });
    expect(activeOf(state).state).toBe('accepted');
  });

  test('must be there to be moved or finished', () => {
    expect(() => withActive(EMPTY, { n: 1 })).toThrow('withActive');
    expect(() => withActiveEnded(EMPTY, 'failed', reportOf(ORDER, 'failed'))).toThrow('withActiveEnded');
  });

  test.each(PROGRESS_STATES)(
    'while %s may be given up only if it goes forward and has not switched',
    (state) => {
      const forward = activeOf(withActive(active(), { state }));
      const early = ['accepted', 'preparing', 'prepared', 'draining'].includes(state);
      expect(beforeSwitch(forward)).toBe(early);
      expect(beforeSwitch({ ...forward, direction: 'back' })).toBe(false);
    },
  );
});

describe('an ending', () => {
  test.each(ENDINGS)(
    '%s ends it: nothing is active, the answer is kept, and the report waits to be delivered',
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

  test('leaves what waits where it is', () => {
    const next = orderOf('1.2');
    const state = withWaiting(active(), next);
    expect(withActiveEnded(state, 'superseded', reportOf(ORDER, 'superseded')).waiting).toBe(next);
  });

  test('succeeded makes it what runs, and what ran before the one to keep', () => {
    const first = endedBy('succeeded', orderOf('1.0', { sequence: 6 }));
    expect(first.running).toMatchObject({ version: '1.0', sequence: 6 });
    expect(first.previousGood).toBeNull();
    const second = endedBy('succeeded', ORDER, first);
    expect(second.running).toEqual({ version: '1.1', sequence: 7, deployment: ORDER.deployment });
    expect(second.previousGood).toBe('1.0');
  });

  test('succeeded with the version that ran keeps the one before it', () => {
    const two = endedBy('succeeded', ORDER, endedBy('succeeded', orderOf('1.0')));
    const again = orderOf('1.1', { sequence: 8 });
    expect(endedBy('succeeded', again, two)).toMatchObject({ previousGood: '1.0', running: { sequence: 8 } });
  });

  test('succeeded forgives the version, and no other', () => {
    const failed = endedBy('failed', orderOf('1.2'), endedBy('failed'));
    const state = endedBy('succeeded', orderOf('1.1'), failed);
    expect(state.failures.map(({ version }) => version)).toEqual(['1.2']);
  });

  test.each(['failed', 'rolled-back'] as const)(
    '%s leaves what runs, and remembers the failure',
    (ending) => {
      const before = endedBy('succeeded', orderOf('1.0', { sequence: 6 }));
      const state = endedBy(ending, ORDER, before);
      expect(state.running).toEqual(before.running);
      expect(state.previousGood).toBe(before.previousGood);
      expect(state.failures).toEqual([{ sequence: 7, deployment: ORDER.deployment, version: '1.1' }]);
    },
  );

  test('broken leaves nothing that can be said to run', () => {
    const state = endedBy('broken', ORDER, endedBy('succeeded', orderOf('1.0')));
    expect(state.running).toBeNull();
    expect(state.failures).toHaveLength(1);
  });

  describe('broken', () => {
    const broken = endedBy('broken', ORDER, endedBy('succeeded', orderOf('1.0', { sequence: 6 })));
    const BY = { sequence: 7, deployment: ORDER.deployment };
    const next = orderOf('1.2', { sequence: 8 });

    test.each<[string, ServiceState]>([
      ['by itself', broken],
      ...(['rejected', 'superseded', 'cancelled'] as const).map((ending): [string, ServiceState] => [
        `though another ended ${ending} before it began`,
        withEnding(broken, reportOf(next, ending, 1), undefined),
      ]),
      ...(['failed', 'superseded', 'cancelled'] as const).map((ending): [string, ServiceState] => [
        `though another ended ${ending} with nothing changed`,
        endedBy(ending, next, broken),
      ]),
      [
        'though more ended since than are remembered',
        IDS.reduce(
          (now, deployment) => withEnding(now, reportOf({ ...next, deployment }, 'superseded', 1), undefined),
          broken,
        ),
      ],
      ['though its one ending was told before', endedBy('broken', { ...ORDER, quiet: true })],
    ])('stays so %s', (_, state) => {
      expect(brokenBy(state)).toEqual(BY);
    });

    test('is another after the next one that breaks it', () => {
      const again = endedBy('broken', next, broken);
      expect(brokenBy(again)).toEqual({ sequence: 8, deployment: next.deployment });
    });

    test.each(['succeeded', 'rolled-back'] as const)('is over once another %s', (ending) => {
      expect(brokenBy(endedBy(ending, next, broken))).toBeNull();
      expect(brokenBy(endedBy('failed', orderOf('1.3'), endedBy(ending, next, broken)))).toBeNull();
    });

    test('was nothing that failed or went back', () => {
      for (const ending of ENDINGS.filter((one) => one !== 'broken'))
        expect(brokenBy(endedBy(ending))).toBeNull();
      expect(brokenBy(EMPTY)).toBeNull();
    });

    test('is told from the endings of a journal that an older agent wrote', () => {
      const { broken: _, ...older } = broken;
      expect(brokenBy(older)).toEqual(BY);
      expect(brokenBy(withEnding(older, reportOf(next, 'superseded', 1), undefined))).toEqual(BY);
      expect(brokenBy({ ...older, running: { version: '1.1', sequence: 9 } })).toBeNull();
    });
  });

  test.each(['superseded', 'cancelled', 'rejected'] as const)('%s is no failure of the version', (ending) => {
    const before = endedBy('succeeded', orderOf('1.0'));
    expect(endedBy(ending, ORDER, before)).toMatchObject({ running: before.running, failures: [] });
  });

  test('succeeded pins the service when it was asked for on the instance itself, and only then', () => {
    expect(endedBy('succeeded', { ...ORDER, source: 'local' }).pinned).toEqual({ since: AT, version: '1.1' });
    expect(endedBy('failed', { ...ORDER, source: 'local' }).pinned).toBeNull();
    expect(endedBy('succeeded', { ...ORDER, source: 'desired' }).pinned).toBeNull();
    expect(endedBy('succeeded').pinned).toBeNull();
  });

  test('of what never was active leaves the active one alone', () => {
    const state = withEnding(active(), reportOf(orderOf('1.2'), 'superseded'), undefined);
    expect(state.active).toEqual(active().active);
    expect(state.outbox[0]).not.toHaveProperty('replyTo');
  });

  test('of a deployment never heard of is none', () => {
    expect(endingOf(endedBy('succeeded'), idOf(1))).toBeUndefined();
  });
});

describe('the outbox', () => {
  const other = orderOf('1.2');
  const full = withEnding(
    withOutgoing(
      withOutgoing(EMPTY, reportOf(ORDER, 'accepted', 0), 'q'),
      reportOf(other, 'accepted', 0),
      undefined,
    ),
    reportOf(ORDER, 'succeeded', 9),
    undefined,
  );
  const left = (state: ServiceState) => state.outbox.map(({ report }) => `${report.version} ${report.state}`);

  test('keeps reports in their order', () => {
    expect(left(full)).toEqual(['1.1 accepted', '1.2 accepted', '1.1 succeeded']);
    expect(full.outbox[0]).toMatchObject({ replyTo: 'q' });
  });

  test('loses the one that was delivered, and no other', () => {
    expect(left(withoutDelivered(full, reportOf(ORDER, 'accepted', 0)))).toEqual([
      '1.2 accepted',
      '1.1 succeeded',
    ]);
    expect(left(withoutDelivered(full, reportOf(ORDER, 'succeeded', 9)))).toEqual([
      '1.1 accepted',
      '1.2 accepted',
    ]);
    expect(left(withoutDelivered(full, reportOf(ORDER, 'failed', 8)))).toEqual(left(full));
  });

  test('an accepted is no answer for a duplicate', () => {
    expect(withOutgoing(EMPTY, reportOf(ORDER, 'accepted', 0), undefined).endings).toEqual([]);
  });
});

describe('what is remembered is bounded', () => {
  const many = (count: number, add: (state: ServiceState, n: number) => ServiceState) =>
    Array.from({ length: count }, (_, n) => n).reduce(add, EMPTY);
  const orderWith = (n: number) => ({ ...ORDER, deployment: idOf(n), version: `1.${n}` });

  test('to the newest 20 endings and 200 reports to deliver', () => {
    const state = many(300, (now, n) => withEnding(now, reportOf(orderWith(n), 'rejected'), undefined));
    expect(state.endings.map(({ report }) => report.version)).toEqual(
      Array.from({ length: 20 }, (_, i) => `1.${280 + i}`),
    );
    expect(state.outbox.map(({ report }) => report.version)).toEqual(
      Array.from({ length: 200 }, (_, i) => `1.${100 + i}`),
    );
  });

  test('to the newest 20 failures', () => {
    const state = many(30, (now, n) => endedBy('failed', orderWith(n), now));
    expect(state.failures.map(({ version }) => version)).toEqual(
      Array.from({ length: 20 }, (_, i) => `1.${10 + i}`),
    );
  });

  test('to the newest 50 tombstones, each once', () => {
    const state = many(60, (now, n) => withTombstone(now, idOf(n)));
    expect(state.tombstones).toEqual(Array.from({ length: 50 }, (_, i) => idOf(10 + i)));
    expect(withTombstone(state, idOf(59))).toBe(state);
  });
});

describe('the releases that pruning must spare', () => {
  test('are none of an instance that runs nothing', () => {
    expect(protectedVersions(EMPTY)).toEqual(new Set());
  });

  test('are what runs, what ran before it, and all of the active and the waiting deployment', () => {
    const before = endedBy('succeeded', orderOf('1.0'), endedBy('succeeded', orderOf('0.9')));
    const state = withWaiting(withActive(active(ORDER, before), { previous: '0.8' }), orderOf('1.2'));
    expect(protectedVersions(state)).toEqual(new Set(['0.8', '0.9', '1.0', '1.1', '1.2']));
  });

  test('are not what failed', () => {
    expect(protectedVersions(endedBy('failed', ORDER, endedBy('succeeded', orderOf('1.0'))))).toEqual(
      new Set(['1.0']),
    );
  });
});

describe('the journal', () => {
  const order: fc.Arbitrary<Order> = fc
    .record({ n: fc.nat(50), sequence: fc.nat(9), version: fc.constantFrom('1.0', '1.1', '1.2') })
    .chain(({ n, sequence, version }) =>
      fc.record({
        deployment: fc.constant(idOf(n)),
        service: fc.constant('payments'),
        sequence: fc.constant(sequence),
        version: fc.constant(version),
        action: fc.constantFrom('deploy' as const, 'rollback' as const),
        artifacts: fc.constant(artifactsOf(version)),
        source: fc.constantFrom('announcement' as const, 'desired' as const, 'local' as const),
        hold: fc.boolean(),
      }),
    );
  const change: fc.Arbitrary<(state: ServiceState) => ServiceState> = fc.oneof(
    order.map(
      (next) => (state: ServiceState) =>
        withWaiting(withSequence(state, next.sequence, next.deployment), next),
    ),
    fc.constant((state: ServiceState) => (state.waiting && !state.active ? started(state, CONTEXT) : state)),
    fc
      .constantFrom(...PROGRESS_STATES)
      .map(
        (to) => (now: ServiceState) => (now.active ? withActive(now, { state: to, previous: null }) : now),
      ),
    fc
      .constantFrom(...ENDINGS)
      .map(
        (ending) => (now: ServiceState) =>
          now.active ? withActiveEnded(now, ending, reportOf(now.active.order, ending)) : now,
      ),
    order.map((next) => (state: ServiceState) => withEnding(state, reportOf(next, 'rejected'), 'q')),
    fc.nat(50).map((n) => (state: ServiceState) => withTombstone(state, idOf(n))),
    fc.constant((state: ServiceState) => {
      const [first] = state.outbox;
      return first ? withoutDelivered(state, first.report) : state;
    }),
  );

  test('gives back whatever state can come about, unchanged', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const state = changes.reduce((now, next) => next(now), EMPTY);
        expect(serviceState.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
      }),
    );
  });

  test('no change touches the state it begins from', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        let state = EMPTY;
        for (const next of changes) {
          const before = structuredClone(state);
          const result = next(state);
          expect(state).toEqual(before);
          state = result;
        }
      }),
    );
  });

  test('keeps what a newer agent wrote', () => {
    expect(serviceState.parse({ ...EMPTY, mood: 'good' })).toEqual({ ...EMPTY, mood: 'good' });
  });

  test.each<[string, object]>([
    ['of another format', { v: 2 }],
    ['in an unknown state', { active: { ...activeOf(active()), state: 'dreaming' } }],
    ['that runs a path', { running: { version: '../1', sequence: 1 } }],
    ['whose failures are gone', { failures: undefined }],
    ['that saw half a sequence', { seen: { sequence: 1.5, deployment: idOf(1) } }],
    ['of a verb', { service: 'status' }],
  ])('a state %s is refused', (_, wrong) => {
    expect(serviceState.safeParse({ ...EMPTY, ...wrong }).success).toBe(false);
  });
});
