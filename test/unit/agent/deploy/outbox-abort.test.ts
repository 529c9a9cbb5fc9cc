import { describe, expect, test } from 'vitest';
import { A, B, holding, put, reportOf, setUp } from '../../../support/agent/outbox-fixture.ts';

test('an ending that waits behind the write of another report reaches the publisher at once, and once', async () => {
  const box = setUp(holding(reportOf(A, 'accepted', 0)));
  box.faults.deliver = () => new Promise(() => undefined);
  void box.start();
  await box.until(() => box.tried.length === 1);
  expect(box.told).toEqual([]);
  for (const report of [reportOf(A, 'failed', 4), reportOf(B, 'accepted', 0)]) {
    await box.store.update((state) => put(state, report));
    box.outbox.wake();
    box.outbox.wake();
  }
  expect(box.told).toEqual(['A failed', 'B accepted']);
});

describe('an abort', () => {
  test('ends the outbox while it is empty', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    const running = box.start();
    await box.empty();
    box.stopping.abort(new Error('the agent stops'));
    await expect(running).resolves.toBeUndefined();
  });

  test('ends the outbox in the pause between two attempts, and nothing is lost', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    box.faults.deliver = () => {
      throw new Error('ECONNREFUSED');
    };
    box.faults.sleep = () => {
      if (box.slept.length === 5) box.stopping.abort(new Error('the agent stops'));
    };
    await expect(box.start()).resolves.toBeUndefined();
    expect(box.tried).toHaveLength(5);
    expect(box.store.read().outbox).toHaveLength(1);
  });

  test('ends the outbox during a delivery, which gets the signal, and nothing is lost', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    box.faults.deliver = (_report, signal) => {
      const { promise, reject } = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => reject(signal.reason));
      box.stopping.abort(new Error('the agent stops'));
      return promise;
    };
    await expect(box.start()).resolves.toBeUndefined();
    expect(box.tried).toHaveLength(1);
    expect(box.slept).toEqual([]);
    expect(box.store.read().outbox).toHaveLength(1);
  });

  test('before the run delivers nothing', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    box.stopping.abort(new Error('the agent stops'));
    await box.start();
    expect(box.tried).toEqual([]);
  });
});
