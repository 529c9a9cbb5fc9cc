import { describe, expect, test } from 'vitest';
import type { ServiceState } from '../../../../agent/deploy/state.ts';
import { admit } from '../../../../agent/loop/admit.ts';
import {
  active,
  EXPIRED,
  fresh,
  know,
  ORDER,
  OTHERS,
  say,
  seen,
} from '../../../support/agent/admit-fixture.ts';

describe('a cancel', () => {
  const cancel = { kind: 'cancel' };

  test.each<[string, object, ServiceState | undefined, object]>([
    ['is obeyed', cancel, active(ORDER), { do: 'cancel' }],
    ['that arrives first is carried out too', cancel, fresh(), { do: 'cancel' }],
    ['of an older sequence is carried out: it names a deployment', cancel, seen(9), { do: 'cancel' }],
    ['that has expired is ignored', { ...cancel, ...EXPIRED }, active(ORDER), { do: 'ignore' }],
    ['for other instances is ignored', { ...cancel, ...OTHERS }, active(ORDER), { do: 'ignore' }],
    ['for a service that this instance does not have is ignored', cancel, undefined, { do: 'ignore' }],
    ['for another environment is refused', { ...cancel, env: 'prd' }, active(ORDER), { do: 'refuse' }],
  ])('%s', (_, said, state, decision) => {
    expect(admit(say(said), { ...know(), state })).toMatchObject(decision);
  });
});

describe('a roll call, or a converge', () => {
  const converge = { kind: 'converge' };
  const rollCall = { kind: 'roll-call' };
  const everybody = { ...rollCall, service: undefined };

  test.each<[string, object, ServiceState | undefined, object]>([
    ['a roll call of all services is answered', everybody, undefined, { do: 'answer-roll-call' }],
    ['a roll call of a service of this instance is answered', rollCall, fresh(), { do: 'answer-roll-call' }],
    ['a roll call is answered whatever sequence was seen', rollCall, seen(99), { do: 'answer-roll-call' }],
    [
      'a roll call of a service that this instance does not have is ignored',
      rollCall,
      undefined,
      { do: 'ignore' },
    ],
    ['a roll call that has expired is ignored', { ...everybody, ...EXPIRED }, undefined, { do: 'ignore' }],
    ['a roll call of other instances is ignored', { ...everybody, ...OTHERS }, undefined, { do: 'ignore' }],
    [
      'a roll call of another environment is refused',
      { ...everybody, env: 'prd' },
      undefined,
      { do: 'refuse' },
    ],
    ['a converge is carried out', converge, fresh(), { do: 'converge' }],
    ['a converge that has expired is ignored', { ...converge, ...EXPIRED }, fresh(), { do: 'ignore' }],
    ['a converge for other instances is ignored', { ...converge, ...OTHERS }, fresh(), { do: 'ignore' }],
    [
      'a converge of a service that this instance does not have is ignored',
      converge,
      undefined,
      { do: 'ignore' },
    ],
    ['a converge of another environment is refused', { ...converge, env: 'prd' }, fresh(), { do: 'refuse' }],
  ])('%s', (_, said, state, decision) => {
    expect(admit(say(said), { ...know(), state })).toMatchObject(decision);
  });
});
