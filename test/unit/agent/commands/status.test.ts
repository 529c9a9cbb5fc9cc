import { describe, expect, test } from 'vitest';
import { formatStatus, type ServiceStatusRow, statusRow } from '../../../../agent/commands/status.ts';
import {
  begun,
  initialState,
  queued,
  raised,
  type ServiceState,
  withEnding,
} from '../../../../agent/deploy/state.ts';
import type { Report } from '../../../../shared/report.ts';
import { orderOf } from '../../../support/fake-ports.ts';

const EMPTY = initialState('i-1', 'payments');
const ORDER = orderOf('1.4.2');
const ENDED: Report = {
  kind: 'report',
  v: 1,
  deployment: '01JDB2Z3Y4X5W6V7T8S9R0QPNM',
  env: 'dev',
  service: 'payments',
  instance: 'i-1',
  sequence: 7,
  n: 9,
  at: '2026-01-31T08:14:02.113Z',
  state: 'rolled-back',
  version: '1.4.1',
  timings: {},
};
const found = (state: ServiceState | undefined) => ({ state, version: '1.4.1', unit: 'active (running)' });
const row = (more: Partial<ServiceStatusRow> = {}): ServiceStatusRow => ({
  service: 'payments',
  version: '1.4.1',
  unit: 'active (running)',
  lastDeployment: null,
  state: null,
  at: null,
  pinned: false,
  undelivered: 0,
  ...more,
});

describe('the status of a service', () => {
  test('without a journal is what the disk and the unit say', () => {
    expect(statusRow('payments', found(undefined))).toEqual(row());
  });

  test('that was never deployed has no last deployment', () => {
    expect(statusRow('payments', found(EMPTY))).toEqual(row());
  });

  test('after a deployment names it, its ending, and when', () => {
    const state = { ...withEnding(EMPTY, ENDED, undefined), outbox: [] };
    expect(statusRow('payments', found(state))).toEqual(
      row({ lastDeployment: ENDED.deployment, state: 'rolled-back', at: ENDED.at }),
    );
  });

  test('of two endings names the newer', () => {
    const newer: Report = { ...ENDED, deployment: '01JDB2Z3Y4X5W6V7T8S9R0QPNN', state: 'succeeded' };
    const state = withEnding(withEnding(EMPTY, ENDED, undefined), newer, undefined);
    expect(statusRow('payments', found(state))).toMatchObject({
      lastDeployment: newer.deployment,
      state: 'succeeded',
      undelivered: 2,
    });
  });

  test('during a deployment names that one and not the last ending', () => {
    const began = Date.parse('2026-02-01T00:00:00.000Z');
    const state = begun(queued(withEnding(EMPTY, ENDED, undefined), ORDER), { bootId: 'b', now: began });
    expect(statusRow('payments', found(state))).toMatchObject({
      lastDeployment: ORDER.deployment,
      state: 'accepted',
      at: '2026-02-01T00:00:00.000Z',
    });
  });

  test('says whether it is pinned', () => {
    const pinned = { ...EMPTY, pinned: { since: ENDED.at, version: '1.4.1' } };
    expect(statusRow('payments', found(pinned)).pinned).toBe(true);
    expect(statusRow('payments', found(raised(pinned, 8, ENDED.deployment))).pinned).toBe(false);
  });
});

describe('the status on a screen', () => {
  test('is a head and a line for each service, in columns', () => {
    const text = formatStatus([
      row({ lastDeployment: ENDED.deployment, state: 'succeeded', at: ENDED.at }),
      row({ service: 'edge-proxy', version: null, unit: 'failed' }),
    ]);
    expect(text.split('\n')).toEqual([
      'SERVICE     VERSION  UNIT              LAST       DEPLOYMENT                  SINCE',
      'payments    1.4.1    active (running)  succeeded  01JDB2Z3Y4X5W6V7T8S9R0QPNM  2026-01-31T08:14:02.113Z',
      'edge-proxy  -        failed            -          -                           -',
    ]);
  });

  test('says PINNED, and how many reports wait to be delivered', () => {
    const [, first = '', second = '', third = ''] = formatStatus([
      row({ pinned: true, undelivered: 2 }),
      row({ pinned: true }),
      row({ undelivered: 3 }),
    ]).split('\n');
    expect(first).toMatch(/ PINNED, 2 reports undelivered$/);
    expect(second).toMatch(/ PINNED$/);
    expect(third).toMatch(/ 3 reports undelivered$/);
  });

  test('of no service is the head alone', () => {
    expect(formatStatus([]).split('\n')).toHaveLength(1);
  });
});
