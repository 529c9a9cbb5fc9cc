import { expect, test } from 'vitest';
import { compareAndSwap } from '../../../../publisher/record/compare-and-swap.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { sleepingClock } from '../../../support/host/clock.ts';

/** One object, whose writes fail as often as `meetings` says because another has written it in between. */
function oneObject(first: string | undefined, meetings: number) {
  let stored = first === undefined ? undefined : { text: first, etag: '0' };
  let left = meetings;
  let writes = 0;
  const write = async (body: string, etag: string | undefined) => {
    if (left > 0) {
      left -= 1;
      writes += 1;
      stored = { text: `other ${writes}`, etag: `other ${writes}` };
    }
    if (stored?.etag !== etag) throw new TriggerDeployError('CONDITION_FAILED', 'changed');
    stored = { text: body, etag: `mine ${body}` };
    return stored.etag;
  };
  return {
    objects: {
      putNew: (_key: string, body: string) => write(body, undefined),
      putIf: (_key: string, body: string, etag: string) => write(body, etag),
    },
    read: async () => stored,
    text: () => stored?.text,
  };
}

test('what is decided follows from what is stored when the write succeeds', async () => {
  const { objects, read, text } = oneObject('first', 2);
  const seen: unknown[] = [];
  const swapped = await compareAndSwap(objects, {
    ...{ key: 'k', read },
    next(stored) {
      seen.push(stored?.text);
      return { body: `after ${stored?.text}`, value: stored?.text };
    },
  });
  expect(seen).toEqual(['first', 'other 1', 'other 2']);
  expect(swapped).toEqual({ value: 'other 2', etag: 'mine after other 2' });
  expect(text()).toBe('after other 2');
});

test('an object that does not exist is created, and replaced when another created it first', async () => {
  const { objects, read, text } = oneObject(undefined, 1);
  await compareAndSwap(objects, {
    key: 'k',
    read,
    next: (stored) => ({ body: stored ? 'b' : 'a', value: 0 }),
  });
  expect(text()).toBe('b');
});

test('nothing is written without a body', async () => {
  const { objects, read, text } = oneObject('first', 1);
  const swapped = await compareAndSwap(objects, { key: 'k', read, next: () => ({ value: 'as it is' }) });
  expect(swapped).toEqual({ value: 'as it is', etag: undefined });
  expect(text()).toBe('first');
});

test('CONDITION_FAILED is thrown after so many writes, with a pause between two', async () => {
  const { objects, read } = oneObject('first', 100);
  const clock = sleepingClock();
  let tries = 0;
  const swap = compareAndSwap(objects, {
    ...{ key: 'k', read, attempts: 5, backoff: { first: 100, longest: 100, clock } },
    next() {
      tries += 1;
      return { body: 'mine', value: undefined };
    },
  });
  await expect(swap).rejects.toMatchObject({ code: 'CONDITION_FAILED' });
  expect(tries).toBe(5);
  expect(clock.monotonic()).toBeGreaterThanOrEqual(4 * 50);
});

test('what `next` throws ends it', async () => {
  const { objects, read } = oneObject('first', 0);
  const next = () => {
    throw new TriggerDeployError('FENCED', 'newer');
  };
  await expect(compareAndSwap(objects, { key: 'k', read, next })).rejects.toMatchObject({ code: 'FENCED' });
});
