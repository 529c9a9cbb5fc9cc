import { expect, test } from 'vitest';
import type { PastDeployment } from '../../../../publisher/record/local-deployment.ts';
import { localDeployment } from '../../../../publisher/record/local-deployment.ts';
import { historyLines, historyTable } from '../../../../publisher/render/history.ts';
import { reportText } from '../../../../publisher/render/lines.ts';
import { showLines, showTable } from '../../../../publisher/render/show.ts';
import { plain } from '../../../../publisher/render/text.ts';
import type { Report } from '../../../../shared/report.ts';
import { ID, reported, START } from '../../../support/publisher/render-samples.ts';

/** A warning of an instance is shown wherever its deployment is. */

const page = { columns: 240, paint: plain };
const WARNING = 'nothing shows that the service runs 1.4.2: no process of it is known';
const REPORTS = ['i-2', 'i-1'].map((id) => {
  const event = reported(1000, id, {
    state: 'succeeded',
    warning: WARNING,
    local: { action: 'deploy', by: 'ann' },
  });
  return (event as { report: Report }).report;
});
const TEXT = `warning on i-1, i-2: ${WARNING}`;

test('a warning is in the line of the report', () => {
  expect(reportText(REPORTS[0] as Report)).toContain(`succeeded 1.4.2 after 1.4.1 warning: ${WARNING}`);
});

test('`show` has each warning once, with its instances', () => {
  const deployment = localDeployment(REPORTS.slice(1)) as PastDeployment;
  const answer = { type: 'deployment' as const, deployment, decisions: {}, reports: REPORTS };
  expect(showTable(answer, page).filter((line) => line.includes(WARNING))).toEqual([`  ${TEXT}`]);
  expect(showLines(answer).join('\n')).toContain(`warning: ${WARNING}`);
});

test('`history` has the warnings of a deployment that succeeded', () => {
  const one = localDeployment(REPORTS.slice(1)) as PastDeployment;
  const result = { state: 'succeeded' as const, version: '1.4.2', tookMs: 10, warning: WARNING };
  const deployments = [{ ...one, results: { 'i-1': result, 'i-2': result } }];
  const answer = {
    type: 'history' as const,
    env: 'dev',
    service: 'payments',
    at: START,
    deployments,
    narrowed: false,
    pauses: [],
  };
  expect(historyTable(answer, page).map((line) => line.trim())).toContain(TEXT);
  expect(historyLines(answer)[0]).toContain(`${ID} 1.4.1 → 1.4.2`.slice(0, 26));
  expect(historyLines(answer)[0]).toContain(`[${TEXT}]`);
});

test('`history` has the warning of a local deployment', () => {
  expect(localDeployment(REPORTS.slice(1))?.results).toMatchObject({ 'i-1': { warning: WARNING } });
});
