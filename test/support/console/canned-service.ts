import type {
  DeploymentView,
  HistoryView,
  InstanceView,
  Lane,
  LiveMessage,
  ServiceView,
} from '../../../publisher/console/api.ts';
import type { PublisherEvent } from '../../../publisher/events.ts';
import type { PastDeployment } from '../../../publisher/record/local-deployment.ts';
import type { InstanceRecord, Report } from '../../../shared/report.ts';
import type { State } from '../../../shared/states.ts';
import { ago, cell, cells, HOSTILE, hours, id, min, NOW, underWay } from './canned-overview.ts';

/** A service, one of its deployments and its history, made up. */

const iso = (ms: number) => new Date(ms).toISOString();

export function record(env: string, service: string, n: number, version: string): InstanceRecord {
  return {
    ...{ v: 1, env, service, instance: `i-0d3e4f5a${n.toString(16).padStart(9, '0')}`, version },
    zone: `eu-central-1${'abc'[n % 3]}`,
    ...{ sequence: 41, deployment: id(1), state: 'succeeded', active: true, pinned: false },
    ...{ agentVersion: '0.1.0', at: iso(ago(20_000)) },
  };
}

const instance = (env: string, n: number, version: string): InstanceView => {
  const one = record(env, 'payments', n, version);
  const { instance: name, zone } = one;
  return { instance: name, ...(zone && { zone }), version, record: one, answered: true, drift: false };
};

const instances = (env: string, count: number, version: string) =>
  Array.from({ length: count }, (_, n) => instance(env, n, version));

const found = (env: string) => cells.find((one) => one.env === env && one.service === 'payments');
const payments = (env: string) => found(env) ?? cell(env, 'payments', '1.4.1', 3);

const busy = {
  code: 'LOCKED',
  text: 'bob@acme.com changes it (deployment 1.4.2, for 6 min)',
  hint: 'wait until it ends, or join the line',
  waits: true,
};

const lanes: readonly Lane[] = [
  {
    ...payments('dev'),
    inventory: instances('dev', 3, '1.4.3'),
    obstacles: {
      promote: [{ code: 'USAGE', text: 'dev is the first environment: nothing is promoted to it' }],
    },
    rollbackTo: '1.4.2',
  },
  {
    ...payments('stg'),
    inventory: instances('stg', 2, '1.4.2'),
    obstacles: {},
    promote: { from: 'dev', version: '1.4.3' },
    rollbackTo: '1.4.1',
  },
  {
    ...payments('prd'),
    reason: 'fixes the rounding of refunds',
    inventory: [
      instance('prd', 0, '1.4.2'),
      ...Array.from({ length: 7 }, (_, n) => instance('prd', n + 1, '1.4.1')),
      { ...instance('prd', 8, '1.3.9'), drift: true, answered: false },
    ],
    obstacles: { deploy: [busy], promote: [busy], rollback: [busy], restart: [busy] },
    promote: { from: 'stg', version: '1.4.2' },
    rollbackTo: '1.4.0',
  },
];

export const serviceView: ServiceView = {
  service: 'payments',
  at: NOW,
  lanes,
  versions: [
    {
      ...{ version: '1.4.3', pushedAt: ago(min(6)), pushedBy: 'jenkins' },
      build: 'https://jenkins.acme.com/job/payments/4712/',
      places: [{ env: 'dev', state: 'desired' }],
    },
    {
      ...{ version: '1.4.2', pushedAt: ago(hours(2)), pushedBy: 'jenkins' },
      build: 'https://jenkins.acme.com/job/payments/4711/',
      places: [
        { env: 'dev', state: 'succeeded' },
        { env: 'stg', state: 'desired' },
        { env: 'prd', state: 'under-way' },
      ],
    },
    {
      ...{ version: '1.4.1', pushedAt: ago(hours(50)), pushedBy: HOSTILE.markup },
      build: 'javascript:alert(1)',
      places: [
        { env: 'dev', state: 'succeeded' },
        { env: 'stg', state: 'failed' },
        { env: 'prd', state: 'desired' },
      ],
    },
  ],
};

export function past(n: number, more: Partial<PastDeployment> = {}): PastDeployment {
  return {
    ...{ deployment: id(n), env: 'prd', service: 'payments', version: '1.4.2', previous: '1.4.1' },
    ...{ action: 'deploy', sequence: 42, artifacts: [], issuedBy: 'bob@acme.com' },
    from: { user: 'bob@acme.com', host: 'deploys-b', build: 'https://jenkins.acme.com/job/payments/4711/' },
    reason: 'fixes the rounding of refunds',
    announcedAt: iso(ago(min(6))),
    expected: Array.from({ length: 9 }, (_, i) => record('prd', 'payments', i, '1.4.1').instance),
    status: 'announced',
    strategy: 'rolling',
    ...more,
  };
}

export function report(n: number, state: State, more: Partial<Report> = {}): Report {
  const { instance: name, zone } = record('prd', 'payments', n, '1.4.1');
  return {
    ...{ kind: 'report', v: 1, deployment: id(2), env: 'prd', service: 'payments', instance: name },
    ...(zone && { zone }),
    ...{ sequence: 42, n: 3, at: iso(NOW), state, version: '1.4.2', previous: '1.4.1' },
    timings: { prepare: 800, drain: 2_000, switch: 100, start: 1_200 },
    ...more,
  };
}

/** The events of a deployment of `count` instances in waves: the second wave is under way. */
export function deploymentEvents(count: number): PublisherEvent[] {
  const expected = Array.from({ length: count }, (_, i) => record('prd', 'payments', i, '1.4.1'));
  const [deployment, of] = [id(2), 4];
  const name = (i: number) => expected[i]?.instance ?? '';
  const error = {
    code: 'CHECK_FAILED',
    message: 'GET /health answered 500 for 60 s',
    detail: HOSTILE.escapes,
  };
  return [
    {
      ...{ type: 'started', at: ago(min(6)), deployment, env: 'prd', service: 'payments', version: '1.4.2' },
      ...{ previous: '1.4.1', action: 'deploy', sequence: 42, issuedBy: 'bob@acme.com' },
      ...{ reason: 'fixes the rounding of refunds', strategy: 'rolling', expected },
    },
    {
      ...{ type: 'wave', at: ago(min(5)), deployment, wave: 1, of, kind: 'canary', instances: [name(0)] },
    },
    { type: 'report', at: ago(min(4)), report: report(0, 'succeeded') },
    {
      ...{ type: 'wave', at: ago(min(2)), deployment, wave: 2, of, kind: 'batch' },
      instances: [name(1), name(2), name(3)],
    },
    { type: 'report', at: ago(30_000), report: report(1, 'rolled-back', { error }) },
    {
      ...{ type: 'report', at: ago(20_000) },
      report: report(2, 'checking', { note: 'http 503, 0 of 3', step: 'check' }),
    },
    { type: 'report', at: ago(10_000), report: report(3, 'switching', { step: 'switch' }) },
  ];
}

export const deploymentView = (count = 9): DeploymentView => ({
  at: NOW,
  record: past(2),
  driver: underWay.driver,
  underWay: { ...underWay, of: count },
  events: deploymentEvents(count),
  decisions: [{ kind: 'confirm', by: 'ann@acme.com', at: ago(min(2)), reason: 'ok' }],
  lastTimes: { prepare: 700, drain: 2_000, switch: 100, start: 600 },
  sequence: 42,
});

export const history: HistoryView = {
  at: NOW,
  deployments: [
    past(2),
    past(6, {
      version: '1.4.0',
      status: 'failed',
      outcome: '3 of 9 failed: rolled back to 1.4.1',
      tookMs: 184_000,
      announcedAt: iso(ago(hours(5))),
      issuedBy: HOSTILE.direction,
      reason: HOSTILE.markup,
    }),
    past(7, { env: 'stg', status: 'succeeded', tookMs: 41_000, announcedAt: iso(ago(hours(9))) }),
  ],
  pauses: [
    { env: 'prd', service: 'payments', paused: true, by: 'cat', at: ago(hours(7)), reason: 'quarter end' },
    { env: 'prd', service: 'payments', paused: false, by: 'cat', at: ago(hours(6)) },
  ],
};

export const serviceMessage: LiveMessage = { type: 'service', view: serviceView };
