import type {
  Cell,
  ConfigView,
  EnvironmentState,
  LiveMessage,
  OverviewView,
  UnderWay,
} from '../../../publisher/console/api.ts';
import { PERMISSIONS } from '../../../publisher/console/permissions.ts';

/** What a server of the console may say, made up: a small company with something of everything. */

export const NOW = Date.parse('2026-11-28T14:02:11Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
export const ago = (ms: number) => NOW - ms;
export const min = (n: number) => n * MINUTE;
export const hours = (n: number) => n * HOUR;

export const id = (n: number) => `01M7${String(n).padStart(22, '0')}`;

/** Texts that try to be something else: markup, another reading direction, terminal codes, very long. */
export const HOSTILE = {
  markup: '<img src=x onerror="document.title=1"><script>document.title=2</script>',
  direction: 'safe \u202Etxt.exe\u202C end\u200B',
  escapes: 'a\u001b[2Jb\u0007\u0000c',
  long: 'x'.repeat(16 * 1024),
  link: 'https://evil.example/ javascript:alert(1)',
} as const;

export const config: ConfigView = {
  version: '0.1.0',
  person: { name: 'ann@acme.com', isVerified: true },
  mode: 'loopback',
  readOnly: false,
  environments: [
    { name: 'dev', canSign: true, services: {} },
    { name: 'stg', requires: 'dev', canSign: true, services: {} },
    {
      name: 'prd',
      requires: 'stg',
      confirm: 'person',
      canSign: true,
      services: { payments: { canary: '1', batch: '25%' } },
    },
  ],
  grants: [{ may: PERMISSIONS }],
  links: {
    logs: 'https://grafana.acme.com/explore?service={service}&env={env}&from={since}',
    builds: 'https://jenkins.acme.com/job/{service}',
  },
};

/** A cell where `instances` run `version` and are well. */
export function cell(env: string, service: string, version: string, instances: number): Cell {
  const desired = { version, sequence: 41, deployment: id(1), by: 'ann', at: ago(min(5)) } as const;
  return {
    ...{ env, service, instances, good: instances, drift: 0, broken: 0, silent: 0, queue: [] },
    desired: { ...desired, previous: '1.4.1', action: 'deploy' },
  };
}

export const underWay: UnderWay = {
  ...{ deployment: id(2), version: '1.4.2', from: '1.4.1', action: 'deploy', by: 'bob@acme.com' },
  since: ago(min(6)),
  driver: { state: 'held', who: 'bob@acme.com', via: 'deploys-b', beatAt: ago(4_000) },
  ...{ done: 1, of: 9, wave: { now: 1, of: 4 } },
  waiting: { since: ago(min(3)), after: 1 },
};

export const cells: readonly Cell[] = [
  cell('dev', 'payments', '1.4.3', 3),
  cell('stg', 'payments', '1.4.2', 2),
  {
    ...cell('prd', 'payments', '1.4.1', 9),
    good: 8,
    underWay,
    queue: [
      { who: 'ann', command: 'deploy', version: '1.4.3', since: ago(min(2)) },
      { who: 'cat', command: 'rollback', since: ago(min(1)) },
    ],
  },
  {
    ...cell('dev', 'edge-proxy', '2.1', 3),
    underWay: {
      ...{ deployment: id(3), version: '2.1', from: '2.0', action: 'deploy', by: 'jenkins #812' },
      since: ago(min(1)),
      driver: { state: 'held', who: 'jenkins', beatAt: ago(2_000) },
      ...{ done: 1, of: 3 },
    },
  },
  { ...cell('stg', 'edge-proxy', '2.0', 3), good: 2, drift: 1 },
  cell('prd', 'edge-proxy', '2.0', 12),
  cell('dev', 'ledger', '0.9', 3),
  { ...cell('stg', 'ledger', '0.9', 2), good: 1, broken: 1 },
  {
    ...cell('prd', 'ledger', '0.8', 6),
    pause: { scope: 'service', by: 'cat', since: ago(hours(20)), reason: 'quarter end' },
  },
  cell('dev', 'search', '3.0', 2),
  cell('stg', 'search', '3.0', 2),
  { ...cell('prd', 'search', '3.0', 482), good: 480, silent: 2 },
  cell('dev', 'web', '7.12.0', 2),
  {
    ...cell('stg', 'web', '7.11.4', 2),
    lastFailure: {
      deployment: id(4),
      version: '7.12.0',
      status: 'failed',
      outcome: '2 rolled back',
      at: ago(min(40)),
    },
  },
  {
    ...cell('prd', 'web', '7.11.4', 24),
    underWay: {
      ...{ deployment: id(5), version: '7.11.5', from: '7.11.4', action: 'deploy', by: 'dan' },
      ...{ since: ago(min(22)), driver: { state: 'stale', who: 'dan', beatAt: ago(min(9)) } },
      ...{ done: 12, of: 24, wave: { now: 3, of: 5 }, resumable: true },
    },
  },
  { ...cell('dev', 'batch', '1', 1), trouble: 'the signature of the desired state does not verify' },
];

const environmentStates: readonly EnvironmentState[] = [
  { env: 'dev', readAt: NOW },
  {
    env: 'stg',
    readAt: NOW,
    pause: {
      scope: 'environment',
      by: 'eve@acme.com',
      since: ago(hours(1)),
      reason: 'load test until 15:00',
    },
  },
  {
    env: 'prd',
    readAt: NOW,
    rollCall: { env: 'prd', at: ago(min(3)), by: 'ann', asked: 500, answered: 497, tookMs: 900 },
  },
];

export const overview: OverviewView = { at: NOW, environments: environmentStates, cells };

/** `services` services in each environment, all well but every seventh. */
export function manyCells(services: number): Cell[] {
  return Array.from({ length: services }, (_, i) => {
    const name = `service-${String(i).padStart(2, '0')}`;
    return ['dev', 'stg', 'prd'].map((env) => {
      const one = cell(env, name, `1.${i}.3`, 6);
      return i % 7 === 0 && env === 'prd' ? { ...one, good: 5, drift: 1 } : one;
    });
  }).flat();
}

export const overviewOf = (of: readonly Cell[]): LiveMessage => ({
  type: 'overview',
  view: { ...overview, cells: of },
});

/** Each text of the overview is hostile, in a service of its own. */
export const hostileCells: readonly Cell[] = Object.values(HOSTILE).map((text, i) => ({
  ...cell('prd', `hostile-${i}`, text.slice(0, 128), 3),
  trouble: text,
  pause: { scope: 'service', by: text, since: NOW, reason: text },
  underWay: { ...underWay, by: text, version: text.slice(0, 128) },
  queue: [{ who: text, command: text, version: text, since: NOW, jumped: text }],
}));
