import type { PublisherEvent, Settled } from '../../../publisher/events.ts';
import type { InstanceRecord, Report } from '../../../shared/report.ts';

/** The events of a deployment of payments 1.4.2 in dev. */

export const ID = '01JDB2Q0V7M3N8T5R9XKZC4W6H';
/** 08:14:00.000 where the tests run. */
export const START = new Date(2026, 10, 21, 8, 14, 0, 0).getTime();

export function instance(id: string, zone: string, version: string | null = '1.4.1'): InstanceRecord {
  const about = { v: 1, env: 'dev', service: 'payments', instance: id, zone, version } as const;
  return { ...about, sequence: 7, pinned: false, agentVersion: '0.1.0', at: new Date(START).toISOString() };
}

export function started(
  expected: readonly InstanceRecord[],
  change: Partial<Extract<PublisherEvent, { type: 'started' }>> = {},
): PublisherEvent {
  return {
    type: 'started',
    at: START,
    deployment: ID,
    env: 'dev',
    service: 'payments',
    version: '1.4.2',
    previous: '1.4.1',
    action: 'deploy',
    sequence: 8,
    issuedBy: 'jenkins payments#4711',
    reason: undefined,
    expected,
    ...change,
  };
}

/** A report that came `after` ms after the start. */
export function reported(after: number, id: string, change: Partial<Report>): PublisherEvent {
  const report: Report = {
    ...{ kind: 'report', v: 1, deployment: ID, env: 'dev', service: 'payments', instance: id },
    ...{ sequence: 8, n: 1, at: new Date(START + after).toISOString(), state: 'accepted', version: '1.4.2' },
    previous: '1.4.1',
    timings: {},
    ...change,
  } as Report;
  return { type: 'report', at: START + after, report };
}

export function settled(change: Partial<Settled> = {}): PublisherEvent {
  return {
    type: 'settled',
    at: START + 5000,
    deployment: ID,
    outcome: 'failed',
    exitCode: 1,
    counts: { succeeded: 1, 'rolled-back': 1 },
    silent: [],
    text: '1 of 2 rolled back; the desired state stays 1.4.1',
    tookMs: 4900,
    ...change,
  };
}

export const FLEET = [
  instance('i-0a1b2c3d', 'eu-west-1a'),
  instance('i-0d3e4f5a', 'eu-west-1b'),
  instance('i-0990aabb', 'eu-west-1c'),
];

export const HALFWAY: readonly PublisherEvent[] = [
  started(FLEET),
  reported(4200, 'i-0a1b2c3d', {
    state: 'succeeded',
    timings: { prepare: 1100, switch: 12, start: 500, check: 2588 },
  }),
  reported(3000, 'i-0d3e4f5a', {
    state: 'checking',
    step: 'check',
    note: 'http 503, 0 of 3',
    timings: { prepare: 1000, start: 100 },
  }),
  reported(4900, 'i-0990aabb', {
    state: 'rolled-back',
    timings: { prepare: 1000, check: 3000, rollback: 500 },
    error: {
      code: 'CHECK_FAILED',
      message: 'GET /health answered 500 for 60 s',
      detail: '\u001b[31mERROR\u001b[0m no database\n\tat Main.java:7\u0007\n',
    },
  }),
];
