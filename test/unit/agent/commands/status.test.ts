import { describe, expect, test } from 'vitest';
import {
  type InstanceStatus,
  type ServiceStatusRow,
  status,
  statusRow,
} from '../../../../agent/commands/status.ts';
import { formatStatus } from '../../../../agent/commands/status-table.ts';
import { initialState, type ServiceState } from '../../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withEnding,
  withSequence,
  withWaiting,
} from '../../../../agent/deploy/state-transitions.ts';
import type { Report } from '../../../../shared/report.ts';
import { orderOf } from '../../../support/fleet/fake-ports.ts';

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
const HTTP = { kind: 'http', successes: 1, deadline: 60_000, timeout: 30_000 };
const RUNNING = {
  ...{ active: true, failed: false, mainPid: 1, restarts: 0, invocation: null },
  summary: 'active (running)',
};
const found = (state: ServiceState | undefined) => ({
  state,
  version: '1.4.1',
  unit: 'active (running)',
  checks: [{ ok: true, note: 'http 200' }],
  known: new Set(['1.4.0', '1.4.1']),
});
const row = (more: Partial<ServiceStatusRow> = {}): ServiceStatusRow => ({
  service: 'payments',
  version: '1.4.1',
  unit: 'active (running)',
  trouble: null,
  checks: [{ ok: true, note: 'http 200' }],
  lastDeployment: null,
  state: null,
  error: null,
  at: null,
  previous: null,
  pinned: false,
  outOfTraffic: [],
  undelivered: 0,
  ...more,
});

function withoutTrouble(more: Partial<ServiceStatusRow> = {}) {
  const { trouble: _, ...rest } = row(more);
  return rest;
}

describe('the status of a service', () => {
  test('whose health check does not answer in time is shown with that check as failed', async () => {
    const { services } = await status(
      {
        ...{ env: 'dev', configured: { instance: 'i-1', tags: {} } },
        identify: () => Promise.reject(new Error('no metadata')),
        probeQueue: async () => [],
        runningAgent: async () => undefined,
        notice: async () => undefined,
        services: [
          {
            ...{ name: 'payments', checks: [HTTP], state: async () => EMPTY },
            package: { current: async () => '1.4.1', releases: async () => [] },
            manager: { status: async () => RUNNING },
          },
        ],
        probe: {
          describe: () => 'http',
          probe: () => Promise.reject(new DOMException('aborted', 'TimeoutError')),
        },
      },
      { offline: true },
    );
    expect(services).toMatchObject([
      { version: '1.4.1', checks: [{ ok: false, note: 'http no answer within 10 s' }] },
    ]);
  });

  test('without a journal comes from the disk and the unit', () => {
    expect(statusRow('payments', found(undefined))).toEqual(withoutTrouble());
  });

  test('without a deployment has no last deployment', () => {
    expect(statusRow('payments', found(EMPTY))).toEqual(withoutTrouble());
  });

  test('after a deployment has its id, ending and time', () => {
    const state = { ...withEnding(EMPTY, ENDED, undefined), outbox: [] };
    expect(statusRow('payments', found(state))).toEqual(
      withoutTrouble({ lastDeployment: ENDED.deployment, state: 'rolled-back', at: ENDED.at }),
    );
  });

  test('has the newer of two endings', () => {
    const newer: Report = { ...ENDED, deployment: '01JDB2Z3Y4X5W6V7T8S9R0QPNN', state: 'succeeded' };
    const state = withEnding(withEnding(EMPTY, ENDED, undefined), newer, undefined);
    expect(statusRow('payments', found(state))).toMatchObject({
      lastDeployment: newer.deployment,
      state: 'succeeded',
      undelivered: 2,
    });
  });

  test('during a deployment has that deployment and not the last ending', () => {
    const began = Date.parse('2026-02-01T00:00:00.000Z');
    const state = started(withWaiting(withEnding(EMPTY, ENDED, undefined), ORDER), {
      bootId: 'b',
      now: began,
    });
    expect(statusRow('payments', found(state))).toMatchObject({
      lastDeployment: ORDER.deployment,
      state: 'accepted',
      at: '2026-02-01T00:00:00.000Z',
    });
  });

  test('has the error of the last deployment', () => {
    const error = { code: 'CHECK_FAILED', message: 'GET /health answered 500', detail: 'a long log' };
    const state = withEnding(EMPTY, { ...ENDED, error }, undefined);
    expect(statusRow('payments', found(state)).error).toEqual({
      code: 'CHECK_FAILED',
      message: 'GET /health answered 500',
    });
  });

  test('remains that of the deployment that broke it, after later refusals', () => {
    const error = { code: 'CHECK_FAILED', message: 'the rollback failed' };
    const last: Report = { ...ENDED, state: 'broken', error };
    const broken = withActiveEnded(
      started(withWaiting(EMPTY, { ...ORDER, deployment: ENDED.deployment }), { bootId: 'b', now: 0 }),
      'broken',
      last,
    );
    const refused: Report = { ...ENDED, deployment: '01JDB2Z3Y4X5W6V7T8S9R0QPNN', state: 'superseded' };
    expect(statusRow('payments', found(withEnding(broken, refused, undefined)))).toMatchObject({
      lastDeployment: ENDED.deployment,
      state: 'broken',
      error,
      at: ENDED.at,
    });
  });

  test('has the target of a rollback, if that release is on the instance and not current', () => {
    const previousOf = (version: string) =>
      statusRow('payments', found({ ...EMPTY, previousGood: version })).previous;
    expect(previousOf('1.4.0')).toBe('1.4.0');
    expect(previousOf('1.3.0')).toBeNull();
    expect(previousOf('1.4.1')).toBeNull();
  });

  test('has the target groups that it is deregistered from', () => {
    const out = { ...EMPTY, outOfTraffic: { groups: ['arn:of/web/1'], well: false } };
    expect(statusRow('payments', found(out)).outOfTraffic).toEqual(['arn:of/web/1']);
    const draining = withActive(started(withWaiting(EMPTY, ORDER), { bootId: 'b', now: 0 }), {
      left: ['arn:of/api/2'],
    });
    expect(statusRow('payments', found(draining)).outOfTraffic).toEqual(['arn:of/api/2']);
  });

  test('has the pin', () => {
    const pinned = { ...EMPTY, pinned: { since: ENDED.at, version: '1.4.1' } };
    expect(statusRow('payments', found(pinned)).pinned).toBe(true);
    expect(statusRow('payments', found(withSequence(pinned, 8, ENDED.deployment))).pinned).toBe(false);
  });
});

describe('the status table', () => {
  const QUEUE = 'trigger-deploy-dev-i-1';
  const status = (services: ServiceStatusRow[], more: Partial<InstanceStatus> = {}): InstanceStatus => ({
    env: 'dev',
    instance: 'i-1',
    tags: {},
    agent: { running: true, pid: 812, version: '0.1.0', since: '2026-01-31T08:00:00.000Z' },
    queue: { name: QUEUE, reachable: true, trouble: null },
    notice: null,
    services,
    ...more,
  });
  test('shows the tags of the instance', () => {
    const lines = formatStatus(status([row()], { tags: { stack: 'pr-1234', team: 'red' } })).split('\n');
    expect(lines[1]).toBe('tags stack=pr-1234, team=red');
  });

  test('shows that the end of the instance was announced', () => {
    const at = '2026-01-31T08:16:00.000Z';
    const lines = (left: boolean) =>
      formatStatus(status([row()], { notice: { kind: 'spot-terminate', at, left } })).split('\n');
    expect(lines(false)[2]).toBe('TERMINATING: spot-terminate at 2026-01-31 08:16:00Z: no deployment begins');
    expect(lines(true)[2]).toMatch(/; the instance has left its environment$/);
  });

  const linesOf = (...given: Parameters<typeof status>) => formatStatus(status(...given)).split('\n');

  test('shows the instance, its queue, and each service with its last deployment, within 80 columns', () => {
    const lines = linesOf([
      row({ lastDeployment: ENDED.deployment, state: 'succeeded', at: ENDED.at, previous: '1.4.0' }),
      row({ service: 'edge-proxy', version: null, unit: 'failed', checks: [] }),
    ]);
    expect(lines).toEqual([
      'i-1 in dev · agent 0.1.0 running since 2026-01-31 08:00:00Z (pid 812)',
      `queue ${QUEUE} is reachable`,
      '',
      'SERVICE     VERSION  UNIT              HEALTH  PREVIOUS',
      'payments    1.4.1    active (running)  1 ok    1.4.0',
      '  succeeded 01JDB2Z3Y4X5W6V7T8S9R0QPNM 2026-01-31 08:14:02Z',
      'edge-proxy  -        failed            -       -',
    ]);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
  });

  test('shows PINNED in the row of the service, and below it problems and undelivered reports', () => {
    const checks = [
      { ok: true, note: 'tcp' },
      { ok: false, note: 'http 503' },
    ];
    const error = { code: 'CHECK_FAILED', message: 'GET /health answered 503' };
    const lines = linesOf([row({ pinned: true, undelivered: 2, checks, error })]);
    expect(lines.slice(4)).toEqual([
      'payments  1.4.1    active (running)  1 of 2 FAIL  -         PINNED',
      '  check: http 503',
      '  CHECK_FAILED: GET /health answered 503',
      '  2 reports not delivered yet',
    ]);
  });

  test('shows how to start an agent that is not running', () => {
    const agent = { running: false, pid: null, version: null, since: null };
    expect(linesOf([], { agent })[0]).toMatch(/is NOT running: systemctl start trigger-deploy-agent$/);
  });

  test('distinguishes a queue that cannot be reached, one that was not checked, and one without a name', () => {
    const second = (queue: InstanceStatus['queue']) => linesOf([], { queue }).slice(1, 3);
    expect(second({ name: QUEUE, reachable: false, trouble: 'no answer within 3 s' })).toEqual([
      `queue ${QUEUE} is NOT reachable`,
      '  no answer within 3 s',
    ]);
    expect(second({ name: QUEUE, reachable: null, trouble: null })[0]).toBe(`queue ${QUEUE} (not checked)`);
    expect(second({ name: null, reachable: null, trouble: null })[0]).toMatch(/^queue unknown/);
  });
});
