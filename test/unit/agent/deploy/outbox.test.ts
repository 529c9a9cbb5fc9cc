import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  A,
  B,
  C,
  DAY,
  holding,
  NOW,
  nameOf,
  put,
  reportOf,
  setUp,
} from '../../../support/agent/outbox-fixture.ts';

describe('the outbox', () => {
  test('delivers its reports, oldest first, to the replyTo of each', async () => {
    const initial = put(holding(reportOf(A, 'succeeded', 5)), reportOf(B, 'accepted', 0), 'reply-b');
    const box = setUp(put(initial, reportOf(C, 'rejected', 1), 'reply-c'));
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A succeeded', 'B accepted', 'C rejected']);
    expect(box.replies).toEqual([undefined, 'reply-b', 'reply-c']);
    expect(box.slept).toEqual([]);
  });

  test('keeps the endings for duplicates after they were delivered', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5)));
    void box.start();
    await box.empty();
    expect(box.store.read().endings.map(({ report }) => nameOf(report))).toEqual(['A succeeded']);
  });

  test('delivers a report that is added while it waits, once it is woken', async () => {
    const box = setUp(holding());
    void box.start();
    for (const [id, name] of [
      [A, 'A failed'],
      [B, 'B failed'],
    ] as const) {
      await box.store.update((state) => put(state, reportOf(id, 'failed', 3)));
      box.outbox.wake();
      await box.empty();
      expect(box.delivered.at(-1)).toBe(name);
    }
  });

  test('waits while it is empty, until it is woken, and waits again', async () => {
    const box = setUp(holding());
    void box.start();
    for (let i = 0; i < 3; i += 1) {
      box.outbox.wake();
      await setImmediate();
    }
    expect(box.stopping.signal.aborted).toBe(false);
    expect(box.looks.count).toBeLessThan(20);
  });

  test('delivers a report that was added before it ran', async () => {
    const box = setUp(holding());
    await box.store.update((state) => put(state, reportOf(A, 'failed', 3)));
    box.outbox.wake();
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A failed']);
  });

  test('delivers a report that is added during a delivery, without a further wake-up', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 3)));
    box.faults.deliver = async (report) => {
      if (report.deployment !== A) return;
      await box.store.update((state) => put(state, reportOf(B, 'failed', 3)));
      box.outbox.wake();
    };
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A failed', 'B failed']);
  });
});

describe('a report that cannot be delivered', () => {
  test('is retried until it can be, with pauses that grow to a minute, and holds back later ones', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5), reportOf(B, 'failed', 2)));
    box.faults.deliver = () => {
      if (box.tried.length <= 300) throw new Error('ECONNREFUSED');
    };
    void box.start();
    await box.empty();
    expect(box.tried.slice(0, 301)).toEqual(Array(301).fill('A succeeded'));
    expect(box.delivered).toEqual(['A succeeded', 'B failed']);
    expect(box.slept).toHaveLength(300);
    expect(box.slept[0]).toBeLessThanOrEqual(500);
    for (const pause of box.slept.slice(10)) {
      expect(pause).toBeGreaterThanOrEqual(30_000);
      expect(pause).toBeLessThanOrEqual(60_000);
    }
  });

  test('is dropped after a day, and later ones follow', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5), reportOf(B, 'failed', 2, NOW + 2 * DAY)));
    box.faults.deliver = (report) => {
      if (report.deployment === A) throw new Error('AccessDenied');
    };
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['B failed']);
    expect(box.slept.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(DAY);
    expect(box.slept.length).toBeGreaterThan(DAY / 60_000);
  });

  test('resets the pause for the next one', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5), reportOf(B, 'failed', 2)));
    const left = new Map([
      [A, 20],
      [B, 1],
    ]);
    box.faults.deliver = ({ deployment }) => {
      const failures = left.get(deployment) ?? 0;
      left.set(deployment, failures - 1);
      if (failures > 0) throw new Error('503');
    };
    void box.start();
    await box.empty();
    expect(box.slept).toHaveLength(21);
    expect(box.slept[19]).toBeGreaterThan(1000);
    expect(box.slept[20]).toBeLessThanOrEqual(500);
  });

  test('is delivered again if its delivery could not be journalled: at least once', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5)));
    let failures = 2;
    box.faults.append = () => {
      failures -= 1;
      if (failures >= 0) throw new Error('ENOSPC');
    };
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A succeeded', 'A succeeded', 'A succeeded']);
    expect(box.slept).toHaveLength(2);
  });
});
