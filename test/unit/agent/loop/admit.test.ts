import { describe, expect, test } from 'vitest';
import type { ServiceState } from '../../../../agent/deploy/state.ts';
import { withSequence, withTombstone, withWaiting } from '../../../../agent/deploy/state-transitions.ts';
import { admit, type Knowledge } from '../../../../agent/loop/admit.ts';
import {
  active,
  EXPIRED,
  ended,
  fresh,
  HELD,
  iso,
  know,
  NOW,
  ORDER,
  OTHERS,
  OURS,
  REPLY_TO,
  RIVAL,
  say,
  seen,
} from '../../../support/agent/admit-fixture.ts';

describe('a deploy', () => {
  test('of a new sequence is accepted with all its fields', () => {
    expect(admit(say({ replyTo: REPLY_TO }), know())).toEqual({
      do: 'accept',
      order: { ...ORDER, replyTo: REPLY_TO },
    });
  });

  test('without a reply queue becomes an order without one', () => {
    expect(admit(say(), know())).toEqual({ do: 'accept', order: ORDER });
  });

  test('of an older version (a rollback) is accepted because its sequence is higher', () => {
    const said = say({ action: 'rollback', version: '1.0.0' });
    expect(admit(said, know(seen(6)))).toMatchObject({
      do: 'accept',
      order: { action: 'rollback', version: '1.0.0' },
    });
  });

  test.each<[string, object, ServiceState | undefined, Partial<Knowledge>, object]>([
    ['for a service that this instance does not have is ignored', {}, undefined, {}, { do: 'ignore' }],
    [
      'for another environment is refused',
      { env: 'prd' },
      fresh(),
      {},
      { do: 'refuse', code: 'WRONG_ENVIRONMENT' },
    ],
    [
      'with this instance among its targets is accepted',
      { targets: ['i-2', 'i-1'] },
      fresh(),
      {},
      { do: 'accept' },
    ],
    ['for other instances raises the sequence seen', OTHERS, fresh(), {}, { do: 'raise' }],
    ['without targets raises the sequence seen', { targets: [] }, fresh(), {}, { do: 'raise' }],
    [
      'for an instance whose id begins with ours is not for us',
      { targets: ['i-10'] },
      fresh(),
      {},
      { do: 'raise' },
    ],
    ['of a higher sequence is accepted', {}, seen(6), {}, { do: 'accept' }],
    [
      'of a lower sequence is superseded',
      {},
      seen(8),
      {},
      { do: 'end', ending: 'superseded', code: 'SUPERSEDED' },
    ],
    ['of a lower sequence, for other instances, is ignored', OTHERS, seen(8), {}, { do: 'ignore' }],
    [
      'of the same sequence and another deployment is a conflict',
      {},
      seen(7),
      {},
      { do: 'end', ending: 'rejected', code: 'CONFLICT' },
    ],
    [
      'of the same sequence and another deployment, for other instances, is ignored',
      OTHERS,
      seen(7),
      {},
      { do: 'ignore' },
    ],
    [
      'of the same sequence and the same deployment, not begun here, is accepted',
      {},
      seen(7, OURS),
      {},
      { do: 'accept' },
    ],
    [
      'that has expired is rejected',
      EXPIRED,
      fresh(),
      {},
      { do: 'end', ending: 'rejected', code: 'EXPIRED', why: expect.stringContaining("AWS's clock says") },
    ],
    [
      'that has expired, for other instances, is ignored',
      { ...EXPIRED, ...OTHERS },
      fresh(),
      {},
      { do: 'ignore' },
    ],
    [
      'that has expired is rejected as expired, even when its sequence is older',
      EXPIRED,
      seen(8),
      {},
      { do: 'end', ending: 'rejected', code: 'EXPIRED' },
    ],
    [
      'a millisecond before it expires is accepted',
      { expiresAt: iso(NOW + 1) },
      fresh(),
      {},
      { do: 'accept' },
    ],
    [
      'that was cancelled before it arrived ends cancelled',
      {},
      withTombstone(fresh(), OURS),
      {},
      { do: 'end', ending: 'cancelled', code: 'CANCELLED' },
    ],
    [
      'is accepted when another deployment was cancelled',
      {},
      withTombstone(fresh(), RIVAL),
      {},
      { do: 'accept' },
    ],
    ['delivered twice is answered again while it runs', {}, active(ORDER), {}, { do: 'repeat' }],
    [
      'delivered twice is answered again while it waits',
      {},
      withWaiting(seen(7, OURS), ORDER),
      {},
      { do: 'repeat' },
    ],
    ['delivered twice is answered again after it ended', {}, ended(ORDER, 'succeeded'), {}, { do: 'repeat' }],
    [
      'that failed does not start again when delivered twice',
      {},
      ended(ORDER, 'rolled-back'),
      {},
      { do: 'repeat' },
    ],
    [
      'that was cancelled while it ran is answered again, and not ended again',
      {},
      withTombstone(ended(ORDER, 'cancelled'), OURS),
      {},
      { do: 'repeat' },
    ],
    [
      'that ended is answered again even when it has expired',
      EXPIRED,
      ended(ORDER, 'succeeded'),
      {},
      { do: 'repeat' },
    ],
    ['that runs is answered again even when it has expired', EXPIRED, active(ORDER), {}, { do: 'repeat' }],
    [
      'that ended is answered again even when a newer sequence was seen',
      {},
      withSequence(ended(ORDER, 'succeeded'), 9, RIVAL),
      {},
      { do: 'repeat' },
    ],
    ['that is prepared here proceeds', {}, active(HELD), {}, { do: 'proceed' }],
    ['that waits to be prepared here proceeds', {}, withWaiting(seen(7, OURS), HELD), {}, { do: 'proceed' }],
    ['that is prepared here and has expired does not proceed', EXPIRED, active(HELD), {}, { do: 'repeat' }],
    [
      'that is prepared here does not proceed after a newer sequence was seen',
      {},
      withSequence(active(HELD), 8, RIVAL),
      {},
      { do: 'repeat' },
    ],
    [
      'for other instances does not make a prepared deployment proceed',
      OTHERS,
      active(HELD),
      {},
      { do: 'raise' },
    ],
    [
      'is accepted while an older one runs',
      {},
      active({ ...ORDER, deployment: RIVAL, sequence: 6 }),
      {},
      { do: 'accept' },
    ],
  ])('%s', (_, said, state, more, decision) => {
    expect(admit(say(said), { ...know(fresh(), more), state })).toMatchObject(decision);
  });
});

describe('a prepare', () => {
  const prepare = { kind: 'prepare' };

  test('is accepted and held once it is prepared', () => {
    expect(admit(say(prepare), know())).toEqual({ do: 'accept', order: HELD });
  });

  test.each<[string, object, ServiceState, object]>([
    ['delivered twice is answered again', prepare, active(HELD), { do: 'repeat' }],
    ['that arrives after its deploy does not hold it', prepare, active(ORDER), { do: 'repeat' }],
    ['of an ended deployment is answered again', prepare, ended(ORDER, 'failed'), { do: 'repeat' }],
    ['for other instances raises the sequence seen', { ...prepare, ...OTHERS }, fresh(), { do: 'raise' }],
    ['of a lower sequence is superseded', prepare, seen(8), { do: 'end', ending: 'superseded' }],
    [
      'of the same sequence and another deployment is a conflict',
      prepare,
      seen(7),
      { do: 'end', code: 'CONFLICT' },
    ],
    ['that has expired is rejected', { ...prepare, ...EXPIRED }, fresh(), { do: 'end', code: 'EXPIRED' }],
    [
      'that was cancelled before it arrived ends cancelled',
      prepare,
      withTombstone(fresh(), OURS),
      { do: 'end', ending: 'cancelled' },
    ],
  ])('%s', (_, said, state, decision) => {
    expect(admit(say(said), know(state))).toMatchObject(decision);
  });
});
