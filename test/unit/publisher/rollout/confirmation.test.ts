import { expect, it } from 'vitest';
import {
  refuseToConfirm,
  refuseUnverified,
  whyNotConfirming,
} from '../../../../publisher/rollout/confirmation.ts';
import type { Session } from '../../../../publisher/session.ts';

const ANN = { iss: 'https://acme.okta.com', sub: 'ann' };
const BOB = { iss: 'https://acme.okta.com', sub: 'bob' };
const RECORD = {
  issuedBy: 'ann@acme.com',
  from: { user: 'console', host: 'deploys-a', verified: ANN },
  rolling: {
    ...{ gate: 'person' as const, confirm: 'other' as const, pauseBetweenMs: 0 },
    ...{ waves: [], failed: [], missing: [] },
  },
};

it.each([
  ['another verified person', RECORD, 'bob@acme.com', BOB, undefined],
  ['the same account', RECORD, 'anna@acme.com', ANN, /issued the deployment/],
  ['the same name at another issuer', RECORD, 'ann@acme.com', { ...ANN, iss: 'https://x' }, /issued/],
  ['the same name in capitals', RECORD, ' Ann@Acme.com', BOB, /issued/],
  ['a name that nothing verifies', RECORD, 'bob@desk', undefined, /no console has verified who bob@desk/],
  [
    'of a deployment that nobody verified',
    { ...RECORD, from: { user: 'a', host: 'b' } },
    'bob',
    BOB,
    /who issued/,
  ],
])('a confirmation by %s counts as the rule says', (_who, of, by, verified, why) => {
  const found = whyNotConfirming(of, { by, verified });
  if (why === undefined) expect(found).toBeUndefined();
  else expect(found).toMatch(why);
});

it('without confirm: other every person counts, and no program does', () => {
  const of = { ...RECORD, rolling: { ...RECORD.rolling, confirm: undefined } };
  expect(whyNotConfirming(of, { by: 'ann@acme.com' })).toBeUndefined();
  const session = (isMachine: boolean) =>
    ({
      who: 'ci@acme.com',
      origin: { user: 'c', host: 'h' },
      person: { name: 'ci@acme.com', via: 'deploys', groups: [], isMachine },
    }) satisfies Pick<Session, 'who' | 'origin' | 'person'>;
  expect(() => refuseToConfirm(session(false), of)).not.toThrow();
  expect(() => refuseToConfirm(session(true), of)).toThrow(expect.objectContaining({ code: 'NOT_ALLOWED' }));
});

it('only a verified person begins where another must confirm', () => {
  const begin = (confirm: 'person' | 'other' | undefined, verified?: typeof ANN) => () =>
    refuseUnverified({
      env: { name: 'prd', confirm } as Session['env'],
      who: 'ann@acme.com',
      origin: { user: 'c', host: 'h', verified },
    });
  expect(begin('other')).toThrow(expect.objectContaining({ code: 'NOT_ALLOWED' }));
  expect(begin('other', ANN)).not.toThrow();
  expect(begin('person')).not.toThrow();
  expect(begin(undefined)).not.toThrow();
});
