import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  beforeSwitch,
  brokenBy,
  type Order,
  protectedVersions,
  type ServiceState,
  serviceState,
} from '../../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withEnding,
  withoutDelivered,
  withSequence,
  withTombstone,
  withWaiting,
} from '../../../../agent/deploy/state-transitions.ts';
import { ENDINGS, PROGRESS_STATES } from '../../../../shared/states.ts';
import {
  active,
  activeOf,
  CONTEXT,
  EMPTY,
  endedBy,
  IDS,
  idOf,
  ORDER,
  reportOf,
} from '../../../support/agent/state-fixture.ts';
import { artifactsOf, orderOf } from '../../../support/fleet/fake-ports.ts';

test.each(PROGRESS_STATES)(
  'while %s a deployment can be cancelled only if it runs forward and has not switched',
  (state) => {
    const forward = activeOf(withActive(active(), { state }));
    const early = ['accepted', 'preparing', 'prepared', 'draining'].includes(state);
    expect(beforeSwitch(forward)).toBe(early);
    expect(beforeSwitch({ ...forward, direction: 'back' })).toBe(false);
  },
);

test('spans of a later agent, which was rolled back, are left out, and cost no state', () => {
  const later = structuredClone(withActive(active(), { spans: { download: 5 } }));
  Object.assign(later.active?.spans ?? {}, { polish: 7 });
  Object.assign(later.active?.order ?? {}, { spans: { deliver: 1, polish: 2 } });
  const read = serviceState.parse(later).active;
  expect(read?.spans).toEqual({ download: 5 });
  expect(read?.order.spans).toEqual({ deliver: 1 });
});

describe('a broken service', () => {
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
      'though more deployments ended since than are kept',
      IDS.reduce(
        (now, deployment) => withEnding(now, reportOf({ ...next, deployment }, 'superseded', 1), undefined),
        broken,
      ),
    ],
    ['though its ending was reported before', endedBy('broken', { ...ORDER, quiet: true })],
  ])('stays broken %s', (_, state) => {
    expect(brokenBy(state)).toEqual(BY);
  });

  test('is broken by the latest deployment that broke it', () => {
    const again = endedBy('broken', next, broken);
    expect(brokenBy(again)).toEqual({ sequence: 8, deployment: next.deployment });
  });

  test.each(['succeeded', 'rolled-back'] as const)('is no longer broken after another %s', (ending) => {
    expect(brokenBy(endedBy(ending, next, broken))).toBeNull();
    expect(brokenBy(endedBy('failed', orderOf('1.3'), endedBy(ending, next, broken)))).toBeNull();
  });

  test('is not one where a deployment failed or rolled back', () => {
    for (const ending of ENDINGS.filter((one) => one !== 'broken'))
      expect(brokenBy(endedBy(ending))).toBeNull();
    expect(brokenBy(EMPTY)).toBeNull();
  });

  test('is recognised in a journal that an older agent wrote', () => {
    const { broken: _, ...older } = broken;
    expect(brokenBy(older)).toEqual(BY);
    expect(brokenBy(withEnding(older, reportOf(next, 'superseded', 1), undefined))).toEqual(BY);
    expect(brokenBy({ ...older, running: { version: '1.1', sequence: 9 } })).toBeNull();
  });
});

describe('versions protected from pruning', () => {
  test('are none where nothing runs', () => {
    expect(protectedVersions(EMPTY)).toEqual(new Set());
  });

  test('are the running one, the one before, and those of the active and the waiting deployment', () => {
    const before = endedBy('succeeded', orderOf('1.0'), endedBy('succeeded', orderOf('0.9')));
    const state = withWaiting(withActive(active(ORDER, before), { previous: '0.8' }), orderOf('1.2'));
    expect(protectedVersions(state)).toEqual(new Set(['0.8', '0.9', '1.0', '1.1', '1.2']));
  });

  test('do not include a failed version', () => {
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

  test('reads back every reachable state unchanged', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const state = changes.reduce((now, next) => next(now), EMPTY);
        expect(serviceState.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
      }),
    );
  });

  test('no transition modifies the state it starts from', () => {
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

  test('keeps fields that a newer agent wrote', () => {
    expect(serviceState.parse({ ...EMPTY, colour: 'green' })).toEqual({ ...EMPTY, colour: 'green' });
  });

  test.each<[string, object]>([
    ['of another format', { v: 2 }],
    ['in an unknown state', { active: { ...activeOf(active()), state: 'unknown' } }],
    ['that runs a path', { running: { version: '../1', sequence: 1 } }],
    ['whose failures are gone', { failures: undefined }],
    ['that saw half a sequence', { seen: { sequence: 1.5, deployment: idOf(1) } }],
    ['of a service named like a command', { service: 'status' }],
  ])('a state %s is refused', (_, wrong) => {
    expect(serviceState.safeParse({ ...EMPTY, ...wrong }).success).toBe(false);
  });
});
