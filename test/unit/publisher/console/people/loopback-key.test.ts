import { describe, expect, test } from 'vitest';
import { createLoopbackKeys, SESSION_MS } from '../../../../../publisher/console/people/loopback-key.ts';
import { loopbackPeople } from '../../../../../publisher/console/people/loopback-people.ts';

function open() {
  let now = 0;
  const keys = createLoopbackKeys({ monotonic: () => now });
  const sessionFor = (key: string) => {
    const given = keys.exchange(key);
    if (typeof given === 'string') throw new Error(given);
    return given.session;
  };
  return { keys, sessionFor, pass: (ms: number) => (now += ms) };
}

describe('the key of the address', () => {
  test('has 256 bits', () => {
    expect(Buffer.from(open().keys.renew(), 'base64url')).toHaveLength(32);
  });

  test('gives a session, which is another key', () => {
    const { keys, sessionFor } = open();
    const key = keys.renew();
    const session = sessionFor(key);
    expect(session).not.toBe(key);
    expect(keys.isSession(session)).toBe(true);
    expect(keys.isSession(key)).toBe(false);
  });

  test('is good for one exchange', () => {
    const { keys, sessionFor } = open();
    const key = keys.renew();
    sessionFor(key);
    expect(keys.exchange(key)).toBe('used');
  });

  test('is not that of another process, of an earlier address, or a part of it', () => {
    const { keys } = open();
    const old = keys.renew();
    const key = keys.renew();
    for (const wrong of [open().keys.renew(), old, '', key.slice(1), `${key} `, `${key}=`]) {
      expect(keys.exchange(wrong)).toBe('wrong');
    }
    expect(keys.exchange(key)).toHaveProperty('session');
  });
});

describe('a session', () => {
  test('ends after 12 hours', () => {
    const { keys, sessionFor, pass } = open();
    const session = sessionFor(keys.renew());
    pass(SESSION_MS - 1);
    expect(keys.isSession(session)).toBe(true);
    pass(1);
    expect(keys.isSession(session)).toBe(false);
  });

  test('ends when all end, and a new address begins another', () => {
    const { keys, sessionFor } = open();
    const session = sessionFor(keys.renew());
    const key = keys.renew();
    expect(keys.isSession(session)).toBe(false);
    expect(keys.isSession(sessionFor(key))).toBe(true);
  });
});

describe('the person on loopback', () => {
  const { keys, sessionFor } = open();
  const people = loopbackPeople(keys, { name: 'ann@laptop', via: 'laptop' });
  const session = sessionFor(keys.renew());
  const ask = (authorization?: string[]) =>
    people.personOf(authorization === undefined ? {} : { authorization }, new AbortController().signal);

  test('is who started the console', async () => {
    const known = await ask([`Bearer ${session}`]);
    expect(known).toMatchObject({ person: { name: 'ann@laptop', isMachine: false } });
  });

  test.each([
    ['no header', undefined],
    ['a wrong key', ['Bearer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']],
    ['another scheme', [`Basic ${session}`]],
    ['two headers', [`Bearer ${session}`, `Bearer ${session}`]],
    ['an empty key', ['Bearer ']],
  ])('is nobody with %s', async (_, authorization) => {
    expect(await ask(authorization)).toMatchObject({ refusal: { status: 401 } });
  });
});
