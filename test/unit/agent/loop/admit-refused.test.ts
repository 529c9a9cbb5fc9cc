import { describe, expect, test } from 'vitest';
import { admit } from '../../../../agent/loop/admit.ts';
import { replyQueueName } from '../../../../shared/names.ts';
import {
  active,
  fresh,
  iso,
  KINDS,
  know,
  MINUTE,
  NOW,
  ORDER,
  OURS,
  REPLY_TO,
  say,
} from '../../../support/agent/admit-fixture.ts';

describe('an expiry', () => {
  test('more than an hour after the issue counts as expired, for every kind', () => {
    const long = { issuedAt: iso(NOW - 1), expiresAt: iso(NOW + 60 * MINUTE) };
    expect(admit(say(long), know())).toMatchObject({ do: 'end', code: 'EXPIRED' });
    for (const kind of KINDS.slice(2)) expect(admit(say({ ...long, kind }), know()).do).toBe('ignore');
  });

  test('exactly an hour after the issue is valid', () => {
    expect(admit(say({ issuedAt: iso(NOW), expiresAt: iso(NOW + 60 * MINUTE) }), know()).do).toBe('accept');
  });

  test('in another century counts as expired', () => {
    expect(admit(say({ expiresAt: '9999-12-31T23:59:59Z' }), know())).toMatchObject({ code: 'EXPIRED' });
  });

  test('is compared with the given time, not with the clock of this machine', () => {
    expect(admit(say(), know(fresh(), { now: NOW + 11 * MINUTE }))).toMatchObject({ code: 'EXPIRED' });
    expect(admit(say(), know(fresh(), { now: NOW })).do).toBe('accept');
  });
});

describe('a foreign reply queue', () => {
  test.each([
    'orders',
    '',
    replyQueueName('prd', OURS),
    'trigger-deploy-dev-i-2',
    `${REPLY_TO}x`,
    'https://sqs.eu-west-1.amazonaws.com/999999999999/x',
    `999999999999/${REPLY_TO}`.slice(0, 80),
  ])('named "%s" makes the whole announcement refused, whatever its kind', (replyTo) => {
    for (const kind of KINDS) {
      expect(admit(say({ kind, replyTo }), know())).toMatchObject({ do: 'refuse', code: 'DOCUMENT_INVALID' });
    }
  });

  test('is refused even for a running deployment', () => {
    expect(admit(say({ replyTo: 'orders' }), know(active(ORDER))).do).toBe('refuse');
  });
});

describe('a sequence that no number of deployments reaches', () => {
  test.each([
    ['the time of AWS, in ms', NOW],
    ['the largest number', Number.MAX_SAFE_INTEGER],
  ])('(%s) is refused, whoever it is for', (_, sequence) => {
    const refused = {
      do: 'refuse',
      code: 'DOCUMENT_INVALID',
      why: expect.stringContaining(String(sequence)),
    };
    for (const kind of ['deploy', 'prepare'] as const) {
      expect(admit(say({ kind, sequence }), know())).toMatchObject(refused);
      expect(admit(say({ kind, sequence, targets: ['i-2'] }), know())).toMatchObject(refused);
    }
  });

  test('begins at the time: the number before is accepted', () => {
    expect(admit(say({ sequence: NOW - 1 }), know()).do).toBe('accept');
  });
});
