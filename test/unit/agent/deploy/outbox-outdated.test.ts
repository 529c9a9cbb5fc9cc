import { describe, expect, test } from 'vitest';
import { A, B, DAY, holding, NOW, put, reportOf, setUp } from '../../../support/agent/outbox-fixture.ts';

describe('an outdated report', () => {
  test('is not delivered: an accepted whose ending follows', async () => {
    const box = setUp(holding(reportOf(A, 'accepted', 0), reportOf(A, 'succeeded', 9)));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['A succeeded']);
  });

  test('is an accepted whose ending follows behind others', async () => {
    const reports = [reportOf(A, 'accepted', 0), reportOf(B, 'accepted', 0), reportOf(A, 'superseded', 9)];
    const box = setUp(holding(...reports));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['B accepted', 'A superseded']);
  });

  test('is not an accepted that is followed by the ending of another', async () => {
    const box = setUp(holding(reportOf(A, 'accepted', 0), reportOf(B, 'succeeded', 9)));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['A accepted', 'B succeeded']);
  });

  test('may become outdated while AWS is down: then only the ending is tried', async () => {
    const box = setUp(holding(reportOf(A, 'accepted', 0)));
    box.faults.deliver = async () => {
      if (box.tried.length > 3) return;
      if (box.tried.length === 3) await box.store.update((state) => put(state, reportOf(A, 'succeeded', 9)));
      throw new Error('ECONNREFUSED');
    };
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['A accepted', 'A accepted', 'A accepted', 'A succeeded']);
    expect(box.delivered).toEqual(['A succeeded']);
  });

  test('is one older than a day', async () => {
    const old = reportOf(A, 'succeeded', 9, NOW - DAY - 1);
    const box = setUp(holding(old, reportOf(B, 'succeeded', 9, NOW - DAY)));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['B succeeded']);
  });

  test('is removed from the journal as well', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 9, NOW - 2 * DAY)));
    const journalled: number[] = [];
    box.faults.append = (state) => void journalled.push(state.outbox.length);
    void box.start();
    await box.empty();
    expect(journalled).toEqual([0]);
  });
});
