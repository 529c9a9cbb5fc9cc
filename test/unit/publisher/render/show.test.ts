import { describe, expect, it } from 'vitest';
import type { ShowAnswer } from '../../../../publisher/commands/show.ts';
import type { PastDeployment } from '../../../../publisher/record/local-deployment.ts';
import { historyLines, historyTable } from '../../../../publisher/render/history.ts';
import { showLines, showTable } from '../../../../publisher/render/show.ts';
import { plain } from '../../../../publisher/render/text.ts';
import type { Report } from '../../../../shared/report.ts';
import { HALFWAY, ID, START } from '../../../support/publisher/render-samples.ts';

const page = { columns: 240, paint: plain };
const at = (seconds: number) => new Date(START + seconds * 1000).toISOString();
const [FIRST, SECOND, THIRD] = ['i-0a1b2c3d', 'i-0d3e4f5a', 'i-0990aabb'];

/** A promoted rolling deployment from Jenkins, confirmed, failed in the second wave. */
const deployment: PastDeployment = {
  ...{
    deployment: ID,
    env: 'prd',
    service: 'payments',
    version: '1.4.2',
    previous: '1.4.1',
    action: 'deploy',
  },
  ...{ sequence: 8, issuedBy: 'jenkins payments#4711', reason: 'ticket 4711', promotedFrom: 'stg' },
  from: { user: 'jenkins', host: 'ci-1', build: 'https://ci.acme.com/job/payments/4711/' },
  artifacts: [{ name: 'payments.jar', size: 23_100_000, sha256: 'a'.repeat(64), role: 'package' }],
  announcedAt: at(0),
  settledAt: at(95),
  expected: [FIRST, SECOND, THIRD, 'i-0silent'],
  strategy: 'rolling',
  rolling: {
    waves: [
      { kind: 'canary', instances: [FIRST], announcedAt: at(2), passedAt: at(10) },
      { kind: 'batch', instances: [SECOND, THIRD], announcedAt: at(70) },
      { kind: 'batch', instances: ['i-0silent'] },
    ],
    preparedAt: at(2),
    ...{ failed: [], missing: ['i-0silent'], gate: 'person', awaitingSince: at(10), pauseBetweenMs: 5000 },
    confirmed: { by: 'ann@desk', at: at(69) },
  },
  line: { since: at(-60), waitedMs: 60_000, jumped: 'incident', overtook: ['bob@desk'] },
  despitePause: { by: 'eve@desk', since: at(-3600), reason: 'freeze' },
  policy: { allowMissing: 1, maxFailures: 0, onFailure: 'rollback', timeoutMs: 600_000 },
  status: 'failed',
  exitCode: 1,
  tookMs: 94_000,
  outcome: '1 of 4 succeeded, 1 rolled back; rolling back to 1.4.1',
  rolledBackBy: '01JDB2Q0V7M3N8T5R9XKZC4W6J',
};
const reports = HALFWAY.flatMap((event): Report[] => (event.type === 'report' ? [event.report] : []));
const decided = {
  v: 1,
  env: 'prd',
  service: 'payments',
  deployment: ID,
  head: 'a'.repeat(64),
  nonce: 'n',
} as const;
const answer: ShowAnswer = {
  type: 'deployment',
  deployment,
  decisions: { confirm: { ...decided, kind: 'confirm', by: 'ann@desk', at: at(69), reason: 'looks good' } },
  reports,
};

describe('show', () => {
  it('of a deployment that waits for confirmation has since when, and the command that confirms', () => {
    const { confirmed: _, ...rolling } = deployment.rolling ?? { waves: [] };
    const { outcome: __, settledAt: ___, ...open } = deployment;
    const standing = { ...open, rolling, status: 'announced' } as PastDeployment;
    const waits = { ...answer, deployment: standing, decisions: {} };
    const confirm = `for confirmation: trigger-deploy confirm ${ID} --env prd`;
    const since = showTable(waits, page).find((line) => line.includes('waiting'));
    expect(since).toMatch(/waiting +since 2026-11-21 08:14:10 for confirmation/);
    expect(since).toContain(confirm);
    expect(showLines(waits)).toContain(`${at(10)} payments ${ID} waiting ${confirm}`);
    expect(showTable(answer, page).join()).not.toContain('waiting');
  });

  it('has who, when, from where, why, the waves, the instances, the time of each step, and the failures', () => {
    expect(showTable(answer, page)).toEqual([
      `payments 1.4.1 → 1.4.2 in prd · ${ID}`,
      '',
      '  ✗ failed in 1 min 34 s',
      '  announced       2026-11-21 08:14:00',
      '  settled         2026-11-21 08:15:35',
      '  by              jenkins payments#4711 on ci-1',
      '  from            jenkins@ci-1',
      '  build           https://ci.acme.com/job/payments/4711/',
      '  reason          ticket 4711',
      '  note            JUMPED, DESPITE PAUSE, MISSING 1, ROLLED BACK',
      '  promoted from   stg',
      '  waited          1 min in the queue, at the front, past bob@desk: incident',
      '  despite pause   of eve@desk since 2026-11-21 07:14:00: freeze',
      '  strategy        rolling; waits for confirmation; 5.0 s between waves; 0 may fail, 1 may be missing, else rollback',
      '  sequence        8',
      '  confirmed       by ann@desk at 2026-11-21 08:15:09: looks good',
      '  outcome         1 of 4 succeeded, 1 rolled back; rolling back to 1.4.1',
      '  rolled back by  01JDB2Q0V7M3N8T5R9XKZC4W6J',
      '  artifacts       payments.jar (23.1 MB)',
      '',
      '  prepared          2026-11-21 08:14:02',
      '  wave 1    canary  2026-11-21 08:14:02  8.0 s         i-0a1b2c3d',
      '  wave 2    batch   2026-11-21 08:15:10  did not pass  i-0d3e4f5a, i-0990aabb',
      '  wave 3    batch   not started                        i-0silent',
      '  missing, within --allow-missing: i-0silent',
      '',
      '  i-0a1b2c3d  ✓ succeeded    1.4.1 → 1.4.2  4.2 s',
      '  i-0d3e4f5a  ● checking     1.4.1 → 1.4.2  1.1 s',
      '  i-0990aabb  ↺ rolled-back  1.4.2 → 1.4.1  4.5 s',
      '  i-0silent  ? silent: never answered',
      '',
      '              prepare  switch  start   check  rollback',
      '  i-0a1b2c3d  1.1 s    12 ms   500 ms  2.6 s  –',
      '  i-0d3e4f5a  1.0 s    –       100 ms  –      –',
      '  i-0990aabb  1.0 s    –       –       3.0 s  500 ms',
      '',
      '  i-0990aabb rolled-back: CHECK_FAILED: GET /health answered 500 for 60 s',
      '    | ERROR no database',
      '    |     at Main.java:7',
    ]);
  });

  it('has who continued it after its publisher had stopped, and through which console', () => {
    const resumed = { ...deployment, resumedBy: 'bob@acme.com', resumedVia: 'ci-2' };
    const text = (one: PastDeployment) => showTable({ ...answer, deployment: one }, page);
    expect(text(resumed)).toContain('  resumed by      bob@acme.com, via ci-2');
    expect(text(deployment).join('\n')).not.toContain('resumed by');
  });

  it('has the parts of the steps of each instance, and what the publisher took after them', () => {
    const [first, second] = reports;
    if (first === undefined || second === undefined) throw new Error('too few reports');
    const spans = { announce: 30, deliver: 12, admit: 4, download: 210, verify: 5, sync: 33, healthy: 410 };
    const timed = { ...first, at: at(90), spans };
    const results = {
      [FIRST]: { state: 'succeeded', version: '1.4.2', tookMs: 90_000, heardMs: 90_040 },
    } as const;
    const text = showTable(
      { ...answer, deployment: { ...deployment, results }, reports: [timed, second] },
      page,
    );
    const from = text.findIndex((line) => line.includes('of it'));
    expect(text.slice(from, from + 4)).toEqual([
      '  of it       announce  deliver  admit  download  verify  sync   healthy  report',
      '  i-0a1b2c3d  30 ms     12 ms    4 ms   210 ms    5 ms    33 ms  410 ms   40 ms',
      '  i-0d3e4f5a  –         –        –      –         –       –      –        –',
      '  settled 5.0 s after the last report',
    ]);
  });

  it('has a failure of many instances once, with one log and how to see another', () => {
    const failed = reports.filter((report) => report.error);
    const twice = [...failed, ...failed.map((report) => ({ ...report, instance: SECOND }))];
    const text = showTable({ ...answer, reports: twice }, page);
    expect(text.slice(text.findIndex((line) => line.includes('2 instances')))).toEqual([
      '  2 instances rolled-back: CHECK_FAILED: GET /health answered 500 for 60 s',
      `    ${THIRD}, ${SECOND}`,
      `    log of ${THIRD}:`,
      '    | ERROR no database',
      '    |     at Main.java:7',
      `    → the log of another instance: trigger-deploy show ${ID} --instance ${SECOND} --env dev`,
    ]);
    expect(showLines({ ...answer, reports: twice }).slice(-6)).toEqual([
      'payments i-0silent silent',
      `payments failure on 2 instances (${THIRD}, ${SECOND}): CHECK_FAILED: GET /health answered 500 for 60 s`,
      `  log of ${THIRD}:`,
      '  | ERROR no database',
      '  |     at Main.java:7',
      `  → the log of another instance: trigger-deploy show ${ID} --instance ${SECOND} --env dev`,
    ]);
  });

  it('of one instance leaves out the others', () => {
    const one = {
      ...answer,
      instance: THIRD,
      reports: reports.filter((report) => report.instance === THIRD),
    };
    const lines = showLines(one);
    expect(lines.filter((line) => line.includes(' succeeded 1.4.2') || line.includes('silent '))).toEqual([]);
    expect(lines).toContain('  | ERROR no database');
    const silent = { ...answer, instance: 'i-0silent', reports: [] };
    expect(showLines(silent).at(-1)).toBe('payments i-0silent silent');
  });

  it('is one line per fact on a pipe', () => {
    expect(showLines(answer)).toEqual([
      `${at(0)} payments ${ID} deploy 1.4.1 → 1.4.2 failed from stg by jenkins payments#4711 on ci-1 build https://ci.acme.com/job/payments/4711/ (ticket 4711): 1 of 4 succeeded, 1 rolled back; rolling back to 1.4.1`,
      `${at(69)} payments ${ID} confirm by ann@desk: looks good`,
      `${at(2)} payments ${ID} wave 1 of 3 canary i-0a1b2c3d passed in 8.0 s`,
      `${at(70)} payments ${ID} wave 2 of 3 batch i-0d3e4f5a i-0990aabb did not pass`,
      `not started payments ${ID} wave 3 of 3 batch i-0silent`,
      `${at(4.2)} payments i-0a1b2c3d succeeded 1.4.2 after 1.4.1 prepare=1.10s switch=0.01s start=0.50s check=2.59s`,
      `${at(3)} payments i-0d3e4f5a checking 1.4.2 http 503, 0 of 3 not ended`,
      `${at(4.9)} payments i-0990aabb rolled-back 1.4.2 back to 1.4.1 CHECK_FAILED: GET /health answered 500 for 60 s prepare=1.00s check=3.00s rollback=0.50s`,
      'payments i-0silent silent',
      'payments failure on i-0990aabb: CHECK_FAILED: GET /health answered 500 for 60 s',
      '  | ERROR no database',
      '  |     at Main.java:7',
    ]);
  });

  it('has who cancelled it and why, and when it continued by itself', () => {
    const cancel = { ...decided, kind: 'cancel', by: 'bob@desk', at: at(20), reason: 'wrong one' } as const;
    const rolling = deployment.rolling && { ...deployment.rolling, confirmed: { by: 'time', at: at(69) } };
    const lines = showTable(
      { ...answer, deployment: { ...deployment, rolling, status: 'cancelled' }, decisions: { cancel } },
      page,
    );
    expect(lines).toContain('  cancelled       by bob@desk at 2026-11-21 08:14:20: wrong one');
    expect(lines).toContain('  confirmed       by itself at 2026-11-21 08:15:09, as nothing had failed');
  });
});

describe('history', () => {
  const past = (change: Partial<PastDeployment>): PastDeployment => ({
    ...deployment,
    ...{ rolling: undefined, promotedFrom: undefined, outcome: undefined },
    ...change,
  });
  const found = {
    ...({
      type: 'history',
      env: 'prd',
      service: 'payments',
      at: START,
      narrowed: false,
      pauses: [],
    } as const),
    deployments: [
      deployment,
      past({ action: 'restart', version: '1.4.1', status: 'succeeded', tookMs: 3000, targets: [FIRST] }),
    ],
  };

  it('has a row per deployment: waves, origin, and the reason of a failure', () => {
    expect(historyTable(found, page)).toEqual([
      'payments in prd',
      '',
      `  ${ID}  2026-11-21 08:14:00  ✗ failed     1.4.1 → 1.4.2    from stg, 3 waves  1 min 34 s  jenkins payments#4711 on ci-1  ticket 4711`,
      '      1 of 4 succeeded, 1 rolled back; rolling back to 1.4.1',
      '      JUMPED, DESPITE PAUSE, MISSING 1, ROLLED BACK',
      `  ${ID}  2026-11-21 08:14:00  ✓ succeeded  1.4.1 (restart)                     3.0 s       jenkins payments#4711 on ci-1  ticket 4711`,
      '      JUMPED, DESPITE PAUSE, ONLY 1, ROLLED BACK',
    ]);
  });

  it('is one line per deployment on a pipe, with the build', () => {
    expect(historyLines(found)).toEqual([
      `${at(0)} payments ${ID} deploy 1.4.1 → 1.4.2 from stg, 3 waves JUMPED, DESPITE PAUSE, MISSING 1, ROLLED BACK failed in 1 min 34 s by jenkins payments#4711 on ci-1 build https://ci.acme.com/job/payments/4711/ (ticket 4711): 1 of 4 succeeded, 1 rolled back; rolling back to 1.4.1`,
      `${at(0)} payments ${ID} restart 1.4.1 (restart) JUMPED, DESPITE PAUSE, ONLY 1, ROLLED BACK succeeded in 3.0 s by jenkins payments#4711 on ci-1 build https://ci.acme.com/job/payments/4711/ (ticket 4711)`,
    ]);
  });
});
