import { describe, expect, test } from 'vitest';
import { orderFromDesired } from '../../../../agent/deploy/converge.ts';
import { initialState, type Order, type ServiceState } from '../../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withEnding,
  withSequence,
  withTombstone,
  withWaiting,
} from '../../../../agent/deploy/state-transitions.ts';
import type { Desired } from '../../../../shared/desired.ts';
import { newUlid } from '../../../../shared/names.ts';
import type { Report } from '../../../../shared/report.ts';
import type { Ending } from '../../../../shared/states.ts';
import { SINCE, WANT } from '../../../support/agent/desired-fixture.ts';
import { orderOf } from '../../../support/fleet/fake-ports.ts';

const PAUSED: Desired = { ...WANT, pause: { by: 'ann', since: SINCE, reason: 'an audit' } };

const fresh = initialState('i-1', 'payments');
const running = (sequence: number): ServiceState => ({ ...fresh, running: { version: '1.0', sequence } });
const ORDER = orderOf('1.1', { deployment: WANT.deployment, sequence: WANT.sequence });
const reportOf = ({ deployment, sequence, version }: Order, ending: Ending): Report => ({
  ...{ kind: 'report', v: 1, env: 'dev', service: 'payments', instance: 'i-1', n: 1, at: SINCE },
  ...{ deployment, sequence, version, state: ending, timings: {} },
});
const endedBy = (ending: Ending, order = ORDER, from = running(6)): ServiceState =>
  withActiveEnded(
    started(withWaiting(from, order), { bootId: 'b', now: 0 }),
    ending,
    reportOf(order, ending),
  );

describe('the desired state', () => {
  test('with a sequence above the running one makes an order that is not held', () => {
    expect(orderFromDesired(running(6), WANT, '1.0')).toEqual({
      deployment: WANT.deployment,
      service: 'payments',
      sequence: 7,
      version: '1.1',
      action: 'deploy',
      artifacts: WANT.artifacts,
      source: 'desired',
      hold: false,
    });
  });

  test.each<[string, ServiceState, Desired, string | null]>([
    ['on an instance that runs no version', fresh, WANT, null],
    ['on an instance made from an image with a release', fresh, WANT, '1.0'],
    [
      'that rolls back to an older version',
      running(6),
      { ...WANT, version: '0.9', action: 'rollback' },
      '1.0',
    ],
    ['that was announced but never started here', withSequence(running(6), 7, WANT.deployment), WANT, '1.0'],
    ['with a sequence below the highest seen', withSequence(running(6), 9, newUlid(9)), WANT, '1.0'],
    [
      'after another deployment of the same version failed',
      endedBy('failed', orderOf('1.1', { sequence: 6 })),
      WANT,
      '1.0',
    ],
    ['after another deployment was cancelled', withTombstone(running(6), newUlid(1)), WANT, '1.0'],
    [
      'after an earlier deployment succeeded',
      endedBy('succeeded', orderOf('1.0', { sequence: 5 })),
      WANT,
      '1.0',
    ],
    ['paused, on an instance that runs no version', fresh, PAUSED, null],
  ])('%s makes an order', (_, state, want, current) => {
    expect(orderFromDesired(state, want, current)).toMatchObject({
      version: want.version,
      sequence: want.sequence,
    });
  });

  test.each<[string, ServiceState, Desired, string | null, string]>([
    ['that already runs', running(7), WANT, '1.1', 'up to date'],
    ['with a sequence below the running one', running(8), WANT, '1.2', 'up to date'],
    ['that already runs, though `current` is missing', running(7), WANT, null, 'up to date'],
    ['that succeeded here', endedBy('succeeded'), WANT, '1.1', 'up to date'],
    [
      'while a deployment is active',
      started(withWaiting(fresh, ORDER), { bootId: 'b', now: 0 }),
      WANT,
      null,
      'a deployment is under way',
    ],
    ['while a deployment waits', withWaiting(fresh, ORDER), WANT, null, 'a deployment is under way'],
    [
      'while the service is pinned',
      { ...running(6), pinned: { since: SINCE, version: '1.0' } },
      WANT,
      '1.0',
      'pinned to 1.0',
    ],
    ['that failed here', endedBy('failed'), WANT, '1.0', 'this deployment failed here before'],
    ['that was rolled back here', endedBy('rolled-back'), WANT, '1.0', 'this deployment failed here before'],
    ['that broke the service here', endedBy('broken'), WANT, '1.0', 'this deployment failed here before'],
    [
      'that failed here, on an instance that runs no version',
      endedBy('failed', ORDER, fresh),
      WANT,
      null,
      'this deployment failed here before',
    ],
    [
      'that was cancelled here',
      withTombstone(running(6), WANT.deployment),
      WANT,
      '1.0',
      'this deployment was cancelled here',
    ],
    [
      'below the one that broke the service, although another was refused since',
      withEnding(
        endedBy('broken', orderOf('1.2', { sequence: 8 })),
        reportOf(orderOf('1.3', { sequence: 5 }), 'superseded'),
        undefined,
      ),
      WANT,
      '1.0',
      'the service is broken: deploy a newer version, or repair it by hand',
    ],
    ['paused, on an instance that runs a version', running(6), PAUSED, '1.0', 'paused by ann'],
    ['paused, on an instance made from an image with a release', fresh, PAUSED, '1.0', 'paused by ann'],
  ])('%s makes no order', (_, state, want, current, why) => {
    expect(orderFromDesired(state, want, current)).toBe(why);
  });
});

describe('a prepared deployment', () => {
  const HELD = { ...ORDER, hold: true };
  const prepared = (from = running(6), order = HELD) =>
    withActive(started(withWaiting(from, order), { bootId: 'b', now: 0 }), { state: 'prepared' });
  const OLDER: Desired = { ...WANT, sequence: 6, deployment: newUlid(6), version: '1.0' };
  const NEWER: Desired = { ...WANT, sequence: 8, deployment: newUlid(8), version: '1.0', action: 'rollback' };

  test.each<[string, ServiceState, Desired, string | null]>([
    ['continues', prepared(), WANT, '1.0'],
    ['continues where no version runs', prepared(fresh), WANT, null],
    ['continues where no version runs, even when paused', prepared(fresh), PAUSED, null],
    [
      'continues although a newer announcement for other instances was seen',
      withSequence(prepared(), 9, newUlid(9)),
      WANT,
      '1.0',
    ],
    [
      'continues before it is prepared',
      started(withWaiting(running(6), HELD), { bootId: 'b', now: 0 }),
      WANT,
      '1.0',
    ],
    [
      'continues while it waits for another to end',
      withWaiting(prepared(running(5), orderOf('1.0')), HELD),
      WANT,
      '1.0',
    ],
  ])('%s once the desired state is its deployment', (_, state, want, current) => {
    expect(orderFromDesired(state, want, current)).toEqual({ ...HELD, hold: false });
  });

  test.each<[string, ServiceState, Desired, string]>([
    ['for a desired state that is older', prepared(), OLDER, 'a newer deployment is prepared'],
    [
      'for an older one that was never announced here',
      prepared(running(5)),
      OLDER,
      'a newer deployment is prepared',
    ],
    ['for a pause', prepared(), PAUSED, 'paused by ann'],
    ['for a pin', { ...prepared(), pinned: { since: SINCE, version: '1.0' } }, WANT, 'pinned to 1.0'],
    [
      'once it was cancelled',
      withTombstone(prepared(), HELD.deployment),
      WANT,
      'this deployment was cancelled here',
    ],
  ])('does not continue %s', (_, state, want, why) => {
    expect(orderFromDesired(state, want, '1.0')).toBe(why);
  });

  test('is superseded by the rollback of its rollout, which is newer', () => {
    expect(orderFromDesired(prepared(), NEWER, '1.0')).toMatchObject({ sequence: 8, source: 'desired' });
  });

  test('that was continued is under way', () => {
    expect(orderFromDesired(prepared(running(6), ORDER), WANT, '1.0')).toBe('a deployment is under way');
  });
});
