import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Message } from '../../../../agent/loop/ports.ts';
import { agentLoop, untilAborted } from '../../../support/fleet/agent-loop.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

const BATCH = Array.from(
  { length: 10 },
  (_, n): Message => ({ body: 'forged', receiptHandle: String(n), sentAt: 0 }),
);

/** One batch, then nothing. */
const batchOnce = () => {
  const batches = [BATCH];
  return async (signal: AbortSignal) => batches.shift() ?? (await untilAborted(signal));
};

test('a stop waits at most 10 s for one delete that AWS does not answer, and leaves the rest to be delivered again', async () => {
  const deleted: string[] = [];
  const { stop, putForward } = agentLoop(() => ({
    receive: batchOnce(),
    async delete({ receiptHandle }, signal) {
      deleted.push(receiptHandle);
      await untilAborted(signal);
    },
  }));
  await putForward(0);
  expect(deleted).toEqual(['0']);
  const stopped = stop();
  await vi.advanceTimersByTimeAsync(10_000);
  await stopped;
  expect(deleted).toEqual(['0']);
});

test('a delete that AWS does not answer delays the next announcement by 10 s at most', async () => {
  const deleted: string[] = [];
  const { putForward } = agentLoop(() => ({
    receive: batchOnce(),
    async delete({ receiptHandle }, signal) {
      deleted.push(receiptHandle);
      if (receiptHandle === '0') await untilAborted(signal);
    },
  }));
  await putForward(0);
  await vi.advanceTimersByTimeAsync(9_999);
  expect(deleted).toEqual(['0']);
  await vi.advanceTimersByTimeAsync(1);
  expect(deleted).toHaveLength(BATCH.length);
});

test('a batch under way at a stop is handled completely where AWS answers', async () => {
  const deleted: string[] = [];
  const first = Promise.withResolvers<void>();
  const { stop, putForward } = agentLoop(() => ({
    receive: batchOnce(),
    async delete({ receiptHandle }) {
      deleted.push(receiptHandle);
      await first.promise;
    },
  }));
  await putForward(0);
  const stopped = stop();
  first.resolve();
  await stopped;
  expect(deleted).toHaveLength(BATCH.length);
});

test('a loop that never ends delays a stop by 30 s at most', async () => {
  const { stop, putForward } = agentLoop(() => ({ receive: () => new Promise(() => {}) }));
  await putForward(0);
  let ended = false;
  const stopped = stop().then(() => {
    ended = true;
  });
  await putForward(29_999);
  expect(ended).toBe(false);
  await putForward(1);
  await stopped;
});

test('an agent that is to stop before it has begun tells systemd so, and ends', async () => {
  const { stop, notified } = agentLoop(() => ({ receive: untilAborted }), { stopped: true });
  await stop();
  expect(notified).toContain('stopping');
});
