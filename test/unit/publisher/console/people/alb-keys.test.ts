import { afterEach, expect, test, vi } from 'vitest';
import { createKeyStore } from '../../../../../publisher/console/people/alb-keys.ts';

/** How often the address of the keys is asked, on a clock of the test. */

afterEach(() => vi.unstubAllGlobals());

const kid = (n: number) => `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`;

function store() {
  const clock = { now: 0 };
  let status = 500;
  const asked = vi.fn(async () => new Response('a key', { status }));
  vi.stubGlobal('fetch', asked);
  const keys = createKeyStore({
    address: 'https://keys.example.com',
    monotonic: () => clock.now,
    read: async (pem) => pem,
  });
  return { keys, asked, clock, answer: (next: number) => (status = next) };
}

test('a failure of the address keeps nobody out for longer than two seconds, and is no flood', async () => {
  const { keys, asked, clock, answer } = store();
  for (let i = 0; i < 30; i += 1) await expect(keys.find(kid(1))).rejects.toThrow();
  expect(asked).toHaveBeenCalledTimes(10);
  answer(200);
  await expect(keys.find(kid(1))).rejects.toThrow('too many');
  clock.now += 2001;
  expect(await keys.find(kid(1))).toBe('a key');
});

test('ids of no key are asked for ten times a minute, however fast the answers are', async () => {
  const { keys, asked, clock, answer } = store();
  answer(404);
  for (let i = 0; i < 10; i += 1) expect(await keys.find(kid(i))).toBeUndefined();
  await expect(keys.find(kid(10))).rejects.toThrow('too many');
  clock.now += 59_000;
  await expect(keys.find(kid(10))).rejects.toThrow('too many');
  clock.now += 1001;
  expect(await keys.find(kid(10))).toBeUndefined();
  expect(asked).toHaveBeenCalledTimes(11);
});
