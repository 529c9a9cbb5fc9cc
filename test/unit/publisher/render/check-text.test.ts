import { describe, expect, test } from 'vitest';
import type { PlanAnswer } from '../../../../publisher/commands/plan.ts';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import type { Checks } from '../../../../publisher/record/check-schema.ts';
import type { PastDeployment } from '../../../../publisher/record/local-deployment.ts';
import { tableLines } from '../../../../publisher/render/deployment-table.ts';
import { applyEvent, emptyView } from '../../../../publisher/render/deployment-view.ts';
import { historyLines } from '../../../../publisher/render/history.ts';
import { createJson } from '../../../../publisher/render/json.ts';
import { createLines } from '../../../../publisher/render/lines.ts';
import { createTable } from '../../../../publisher/render/live-terminal.ts';
import { planLines } from '../../../../publisher/render/plan.ts';
import { showLines, showTable } from '../../../../publisher/render/show.ts';
import { plain } from '../../../../publisher/render/text.ts';
import { FLEET, ID, START, started } from '../../../support/publisher/render-samples.ts';

type CheckEvent = Extract<PublisherEvent, { type: 'check' }>;
const check = (change: Partial<CheckEvent>): CheckEvent => ({
  ...{
    type: 'check',
    at: START,
    deployment: ID,
    check: 'verify',
    phase: 'canary',
    state: 'started',
    text: './smoke',
  },
  ...change,
});
const at = (seconds: number) => new Date(START + seconds * 1000).toISOString();
const CHECKS: Checks = {
  alarms: [
    { name: '5xx', insufficientData: 'ignore' },
    { name: 'heartbeat', insufficientData: 'fail' },
  ],
  watchAlarmsMs: 600_000,
  verify: { run: ['./smoke', 'prd'], timeoutMs: 120_000 },
};

function written(
  render: (write: (text: string) => void) => { event(event: PublisherEvent): void; close(): void },
) {
  let text = '';
  const renderer = render((more) => {
    text += more;
  });
  return (events: readonly PublisherEvent[]) => {
    for (const event of events) renderer.event(event);
    renderer.close();
    return text;
  };
}

describe('a check that starts or ends', () => {
  const EVENTS: readonly PublisherEvent[] = [
    started(FLEET, { checks: ['alarms', 'verify'] }),
    check({}),
    check({ state: 'passed', text: 'passed', output: 'all good' }),
    check({ phase: 'last', state: 'failed', text: 'exit code 3', output: 'one\n\u001b[31mtwo\u001b[0m\n' }),
    check({ check: 'alarms', phase: undefined, until: START + 600_000, text: '5xx, heartbeat' }),
    check({ check: 'alarms', phase: undefined, state: 'failed', text: 'the alarm 5xx is in ALARM (9 > 5)' }),
  ];

  test('is a line; a verify that failed has the end of its output below', () => {
    const lines = written(createLines)(EVENTS).split('\n').slice(1);
    expect(lines).toEqual([
      '08:14:00.000 payments verify after the canary runs: ./smoke',
      '08:14:00.000 payments verify after the canary passed',
      '08:14:00.000 payments verify after the last wave failed: exit code 3',
      '  | one',
      '  | two',
      '08:14:00.000 payments all waves have passed; watching the alarms for 10 min: 5xx, heartbeat',
      '08:14:00.000 payments alarms: the alarm 5xx is in ALARM (9 > 5)',
      '',
    ]);
  });

  test('is written above the table of a terminal', () => {
    const terminal = (write: (text: string) => void) =>
      createTable({
        terminal: { live: false, write, size: () => ({ columns: 100, rows: 30 }) },
        paint: plain,
        now: () => START,
      });
    expect(written(terminal)(EVENTS)).toContain(
      'verify after the last wave failed: exit code 3\n  | one\n  | two\n',
    );
  });

  test('is a JSON line with all that is kept of the output', () => {
    const [, , , failed] = written(createJson)(EVENTS).split('\n');
    expect(JSON.parse(failed ?? '')).toMatchObject({
      ...{ type: 'check', check: 'verify', phase: 'last', state: 'failed', output: 'one\ntwo\n' },
    });
  });
});

test('a deployment without its checks is marked where it starts', () => {
  const event = started(FLEET, { checks: ['alarms'], skippedChecks: true });
  expect(written(createLines)([event])).toContain('3 expected, checks skipped');
  const surface = { columns: 120, rows: 30, now: START, paint: plain };
  expect(tableLines(applyEvent(emptyView, event), surface)[0]).toContain('checks skipped');
});

describe('the record of a deployment with checks', () => {
  const deployment: PastDeployment = {
    ...{
      deployment: ID,
      env: 'prd',
      service: 'payments',
      version: '1.4.2',
      previous: '1.4.1',
      action: 'deploy',
    },
    ...{
      sequence: 8,
      issuedBy: 'ann@desk',
      artifacts: [],
      announcedAt: at(0),
      expected: [],
      status: 'failed',
    },
    from: { user: 'ann', host: 'desk' },
    checks: CHECKS,
    checked: {
      watchingSince: at(60),
      verify: [
        { phase: 'canary', startedAt: at(1), endedAt: at(3), passed: true },
        {
          phase: 'last',
          startedAt: at(60),
          run: ['./other', 'prd'],
          endedAt: at(64),
          passed: false,
          why: 'exit code 3',
          output: 'no\u0007 shop\n',
        },
      ],
      alarms: { at: at(70), failed: [{ name: '5xx', state: 'ALARM', reason: '9 > 5' }] },
    },
  };
  const answer = { type: 'deployment', deployment, decisions: {}, reports: [] } as const;

  test('is shown with what was demanded and what it gave', () => {
    const table = showTable({ ...answer, reports: [] }, { columns: 300, paint: plain }).join('\n');
    const lines = showLines({ ...answer, reports: [] }).join('\n');
    for (const text of [table, lines]) {
      for (const fact of [
        'alarms 5xx, heartbeat (fails without data), watched for 10 min after the last wave',
        'verify: ./smoke prd (2 min at most)',
        'after the canary: passed in 2.0 s',
        'after the last wave: failed after 4.0 s: exit code 3 (./other prd)',
        '5xx ALARM (9 > 5) at',
        'output of verify after the last wave:',
        '| no shop',
      ]) {
        expect(text).toContain(fact);
      }
    }
  });

  test('is marked in the history, and when it is shown, if they were skipped', () => {
    const skipped = { ...deployment, checks: { ...CHECKS, skipped: true as const }, checked: undefined };
    const history = {
      type: 'history',
      env: 'prd',
      service: 'payments',
      at: START,
      narrowed: false,
      pauses: [],
    } as const;
    expect(historyLines({ ...history, deployments: [skipped] })[0]).toContain('CHECKS SKIPPED');
    expect(historyLines({ ...history, deployments: [deployment] })[0]).toContain(' alarms, verify failed');
    expect(showLines({ ...answer, deployment: skipped, reports: [] }).join('\n')).toContain(
      'skipped checks alarms 5xx',
    );
  });
});

describe('a plan', () => {
  const planned: PlanAnswer = {
    ...{ type: 'plan', env: 'prd', service: 'payments', version: '1.4.2', previous: '1.4.1' },
    ...{ strategy: { name: 'all' }, maxFailures: 0, onFailure: 'rollback', waves: [] },
  };

  test('has the checks, and whether the alarms would refuse the deployment now', () => {
    const alarmsNow = { text: 'the alarm 5xx is in ALARM', refused: true, alarms: [] };
    const lines = planLines({ ...planned, checks: CHECKS, alarmsNow }).join('\n');
    expect(lines).toContain('automatic checks: alarms 5xx, heartbeat (fails without data), watched');
    expect(lines).toContain('now: the alarm 5xx is in ALARM: the deployment would be refused');
  });

  test('says that they are skipped', () => {
    const lines = planLines({ ...planned, checks: { ...CHECKS, skipped: true } }).join('\n');
    expect(lines).toContain('automatic checks, skipped: alarms 5xx');
  });
});
