import { describe, expect, test } from 'vitest';
import type { ServiceState } from '../../../../agent/deploy/state.ts';
import {
  withEnding,
  withOutgoing,
  withoutDelivered,
  withTombstone,
} from '../../../../agent/deploy/state-transitions.ts';
import { EMPTY, endedBy, idOf, ORDER, reportOf } from '../../../support/agent/state-fixture.ts';
import { orderOf } from '../../../support/fleet/fake-ports.ts';

describe('the outbox', () => {
  const other = orderOf('1.2');
  const full = withEnding(
    withOutgoing(
      withOutgoing(EMPTY, reportOf(ORDER, 'accepted', 0), 'q'),
      reportOf(other, 'accepted', 0),
      undefined,
    ),
    reportOf(ORDER, 'succeeded', 9),
    undefined,
  );
  const left = (state: ServiceState) => state.outbox.map(({ report }) => `${report.version} ${report.state}`);

  test('keeps reports in their order', () => {
    expect(left(full)).toEqual(['1.1 accepted', '1.2 accepted', '1.1 succeeded']);
    expect(full.outbox[0]).toMatchObject({ replyTo: 'q' });
  });

  test('drops the delivered report, and no other', () => {
    expect(left(withoutDelivered(full, reportOf(ORDER, 'accepted', 0)))).toEqual([
      '1.2 accepted',
      '1.1 succeeded',
    ]);
    expect(left(withoutDelivered(full, reportOf(ORDER, 'succeeded', 9)))).toEqual([
      '1.1 accepted',
      '1.2 accepted',
    ]);
    expect(left(withoutDelivered(full, reportOf(ORDER, 'failed', 8)))).toEqual(left(full));
  });

  test('does not answer a duplicate with accepted', () => {
    expect(withOutgoing(EMPTY, reportOf(ORDER, 'accepted', 0), undefined).endings).toEqual([]);
  });
});

describe('the state is bounded', () => {
  const many = (count: number, add: (state: ServiceState, n: number) => ServiceState) =>
    Array.from({ length: count }, (_, n) => n).reduce(add, EMPTY);
  const orderWith = (n: number) => ({ ...ORDER, deployment: idOf(n), version: `1.${n}` });

  test('to the newest 20 endings and 200 reports to deliver', () => {
    const state = many(300, (now, n) => withEnding(now, reportOf(orderWith(n), 'rejected'), undefined));
    expect(state.endings.map(({ report }) => report.version)).toEqual(
      Array.from({ length: 20 }, (_, i) => `1.${280 + i}`),
    );
    expect(state.outbox.map(({ report }) => report.version)).toEqual(
      Array.from({ length: 200 }, (_, i) => `1.${100 + i}`),
    );
  });

  test('to the newest 20 failures', () => {
    const state = many(30, (now, n) => endedBy('failed', orderWith(n), now));
    expect(state.failures.map(({ version }) => version)).toEqual(
      Array.from({ length: 20 }, (_, i) => `1.${10 + i}`),
    );
  });

  test('to the newest 50 tombstones, each once', () => {
    const state = many(60, (now, n) => withTombstone(now, idOf(n)));
    expect(state.tombstones).toEqual(Array.from({ length: 50 }, (_, i) => idOf(10 + i)));
    expect(withTombstone(state, idOf(59))).toBe(state);
  });
});
