import type { DeploymentView, HistoryView, ServiceView } from '../../../publisher/console/api.ts';
import type { PublisherEvent } from '../../../publisher/events.ts';
import type { PastDeployment } from '../../../publisher/record/local-deployment.ts';
import { ago, hours, id, min } from './canned-overview.ts';
import {
  deploymentEvents,
  deploymentView,
  history,
  past,
  record,
  report,
  serviceView,
} from './canned-service.ts';

/** What the pictures of the docs show: the canned company, without the hostile texts of the tests. */

const WAVE = { kind: 'batch', instances: [] } as const;
const ROLLING = {
  ...{ gate: 'person', pauseBetweenMs: 0, waves: [WAVE, WAVE, WAVE, WAVE], failed: [], missing: [] },
} as const satisfies PastDeployment['rolling'] | object;
const iso = (ms: number) => new Date(ms).toISOString();
const BUILD = 'https://jenkins.acme.com/job/payments/4711/';

export const picturedService: ServiceView = {
  ...serviceView,
  versions: serviceView.versions.map((one) =>
    one.version === '1.4.1' ? { ...one, pushedBy: 'jenkins', build: `${BUILD}` } : one,
  ),
};

const error = (detail: string) => ({
  code: 'CHECK_FAILED',
  message: 'GET http://127.0.0.1:8080/health: http 500 (0 of 3) after 60 s',
  detail,
});
const LOG = [
  '14:01:52 payments 1.4.2 listens on 8080',
  '14:01:55 error: GET /health: connection pool of 1.4.2 is empty',
  '14:01:58 error: GET /health: connection pool of 1.4.2 is empty',
].join('\n');

/** 24 instances in four waves: the third is under way, and one of the second went back. */
export const picturedUnderWay: DeploymentView = (() => {
  const count = 24;
  const [started] = deploymentEvents(count);
  const name = (n: number) => record('prd', 'payments', n, '1.4.1').instance;
  const names = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => name(from + n));
  const wave = (n: number, minutes: number, instances: readonly string[]): PublisherEvent => ({
    ...{ type: 'wave', at: ago(min(minutes)), deployment: id(2), wave: n, of: 4 },
    ...{ kind: n === 1 ? 'canary' : 'batch', instances },
  });
  const said = (
    n: number,
    seconds: number,
    ...more: Parameters<typeof report> extends [number, ...infer R] ? R : never
  ): PublisherEvent => ({
    ...{ type: 'report', at: ago(1000 * seconds), report: report(n, ...more) },
  });
  return {
    ...deploymentView(count),
    underWay: {
      ...{ deployment: id(2), version: '1.4.2', from: '1.4.1', action: 'deploy', by: 'bob@acme.com' },
      ...{ since: ago(min(6)), done: 9, of: count, wave: { now: 3, of: 4 } },
      driver: { state: 'held', who: 'bob@acme.com', via: 'deploys-b', beatAt: ago(4_000) },
    },
    record: past(2, { expected: names(0, count) }),
    events: [
      ...(started ? [started] : []),
      wave(1, 5, names(0, 1)),
      said(0, 240, 'succeeded'),
      wave(2, 3, names(1, 9)),
      ...[1, 2, 3, 5, 6, 7, 8].map((n) => said(n, 100 + n, 'succeeded')),
      said(4, 90, 'rolled-back', { error: error(LOG) }),
      wave(3, 1, names(9, 17)),
      ...[9, 10].map((n) => said(n, 5, 'succeeded')),
      said(11, 6, 'checking', { note: 'http 503, 0 of 3', step: 'check' }),
      ...[12, 13].map((n) => said(n, 5, 'starting', { step: 'start' })),
      said(14, 4, 'switching', { step: 'switch' }),
      ...[15, 16].map((n) => said(n, 3, 'prepared')),
    ],
  };
})();

/** It failed on three of nine, and went back by itself. */
export const picturedFailed: DeploymentView = (() => {
  const { underWay: _, ...view } = deploymentView();
  const [started] = deploymentEvents(9);
  const took = 184_000;
  const settled: PublisherEvent = {
    ...{ type: 'settled', at: ago(min(2)), deployment: id(2), outcome: 'failed', exitCode: 1, silent: [] },
    ...{ counts: { succeeded: 6, 'rolled-back': 3 }, tookMs: took },
    text: 'failed: 3 of 9 rolled back; the desired state stays 1.4.1',
    hint: 'read the end of the log of an instance below',
  };
  return {
    ...view,
    driver: { state: 'none' },
    decisions: [],
    record: past(2, {
      ...{ status: 'failed', tookMs: took, outcome: '3 of 9 rolled back; the desired state stays 1.4.1' },
      ...{ strategy: 'all', settledAt: iso(ago(min(2))), exitCode: 1 },
    }),
    events: [
      ...(started ? [{ ...started, strategy: 'all' } as PublisherEvent] : []),
      ...Array.from(
        { length: 9 },
        (_, n): PublisherEvent => ({
          ...{ type: 'report', at: ago(min(3)) },
          report: n % 3 === 1 ? report(n, 'rolled-back', { error: error(LOG) }) : report(n, 'succeeded'),
        }),
      ),
      settled,
    ],
  };
})();

export const picturedHistory: HistoryView = {
  ...history,
  deployments: [
    past(2, { rolling: ROLLING as never }),
    past(9, {
      ...{ service: 'search', version: '3.0', previous: '2.9', status: 'succeeded', tookMs: 96_000 },
      ...{ announcedAt: iso(ago(hours(2))), issuedBy: 'ann@acme.com', reason: 'new index' },
    }),
    past(6, {
      ...{
        version: '1.4.0',
        status: 'failed',
        outcome: '3 of 9 failed: rolled back to 1.4.1',
        tookMs: 184_000,
      },
      ...{ announcedAt: iso(ago(hours(5))), rolledBackBy: id(8), reason: 'refunds in two currencies' },
    }),
    past(7, {
      ...{ env: 'stg', service: 'ledger', version: '0.9', previous: '0.8', status: 'succeeded' },
      ...{ tookMs: 41_000, announcedAt: iso(ago(hours(9))), issuedBy: 'jenkins', reason: undefined },
    }),
    past(5, {
      ...{ service: 'ledger', version: '0.8', previous: '0.8', action: 'restart', status: 'succeeded' },
      ...{ tookMs: 12_000, announcedAt: iso(ago(hours(20))), issuedBy: 'cat', reason: 'new certificate' },
      despitePause: { reason: 'certificate expires' } as never,
    }),
  ],
};
