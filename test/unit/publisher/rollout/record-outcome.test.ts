import { expect, onTestFinished, test } from 'vitest';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { recordOutcome, settledEvent, UNSETTLED } from '../../../../publisher/rollout/record-outcome.ts';
import type { Settlement } from '../../../../publisher/rollout/settle.ts';
import { newUlid } from '../../../../shared/names.ts';
import type { Report } from '../../../../shared/report.ts';
import { systemClock } from '../../../support/host/clock.ts';
import { openStage } from '../../../support/publisher/stage.ts';

const outcomeOf = (change: Partial<DeploymentRecord>) =>
  settledEvent(systemClock, {
    ...{ deployment: 'ID', env: 'dev', status: 'timed-out', outcome: '1 of 2 succeeded, 1 not finished' },
    ...change,
  } as DeploymentRecord);
const at = { version: '1.1.0', tookMs: 1 };

test('a time-out while an instance works names --timeout, and how to follow on', () => {
  const results = { 'i-1': { state: 'succeeded', ...at }, 'i-2': { state: 'starting', ...at } } as const;
  const hint = 'a longer --timeout waits longer; trigger-deploy watch ID --env dev follows it further';
  expect(outcomeOf({ results })).toMatchObject({ hint });
  // Silence and failures do not depend on the time-out.
  expect(outcomeOf({ results: { 'i-1': results['i-1'] }, silent: ['i-2'] })).toMatchObject({
    hint: undefined,
  });
  expect(outcomeOf({ results, status: 'failed' })).toMatchObject({ hint: undefined });
});

/** A record of 1.1.0 with the sequence 5, not settled yet. */
async function announced(change: Partial<DeploymentRecord> = {}) {
  const stage = await openStage();
  onTestFinished(() => stage.close());
  const session = await stage.open();
  const { artifacts } = await stage.publish('payments', '1.1.0');
  const now = new Date().toISOString();
  const record: DeploymentRecord = {
    ...{ deployment: newUlid(5), env: 'dev', service: 'payments', version: '1.1.0', previous: '1.0.0' },
    ...{ action: 'deploy', sequence: 5, issuedBy: 'ci', from: { user: 'ci', host: 'h' }, artifacts },
    ...{ expected: ['i-1'], strategy: 'all', desiredFirst: false, announcedAt: now, expiresAt: now },
    policy: { allowMissing: 0, maxFailures: 0, onFailure: 'stop', timeoutMs: 1000 },
    ...UNSETTLED,
    ...change,
  };
  return { session, stored: await session.record.deployments.create(record), artifacts };
}
const success: Settlement = {
  ...{
    outcome: 'succeeded',
    exitCode: 0,
    text: 'done',
    counts: { succeeded: 1 },
    silent: [],
    unfinished: [],
    forgotten: [],
  },
  ...{ moveDesired: true, rollBack: false },
};
const progress = { reports: new Map<string, Report>(), tookMs: () => 1 };

test.each<[string, boolean | undefined, Partial<DeploymentRecord>, Partial<Settlement>]>([
  ['that set the desired state says so', true, {}, {}],
  ['to some instances says nothing about it', undefined, { targets: ['i-1'] }, {}],
  ['that is a restart says nothing about it', undefined, { action: 'restart' }, {}],
  ['that failed says nothing about it', undefined, {}, { outcome: 'failed', moveDesired: false }],
])('a deployment %s in its record', async (_, says, change, settlement) => {
  const { session, stored } = await announced(change);
  const { value } = await recordOutcome(session, stored, { ...success, ...settlement }, progress);
  expect(value.setDesired).toBe(says);
});

test.each([
  ['with another deployment in the desired state', false],
  ['that is overtaken', true],
])('a deployment %s does not say that it set it, and does not change it', async (_, overtaken) => {
  const { session, stored, artifacts } = await announced();
  const sequence = overtaken ? 4 : 6;
  await session.record.desired.move({
    ...{ service: 'payments', version: '1.0.0', artifacts, action: 'deploy', sequence },
    ...{ deployment: newUlid(sequence), changedBy: 'ci' },
  });
  const { value } = await recordOutcome(session, stored, success, progress, overtaken);
  expect(value.setDesired).toBeUndefined();
  expect((await session.record.desired.read('payments'))?.value).toMatchObject({
    version: '1.0.0',
    sequence,
  });
});

test('the record has the texts of a hundred instances at most, and no details, so that it stays readable', async () => {
  const { session, stored } = await announced();
  const reports = new Map<string, Report>();
  for (let i = 0; i < 150; i += 1) {
    const instance = `i-${i}`;
    reports.set(instance, {
      ...{
        kind: 'report',
        v: 1,
        deployment: stored.value.deployment,
        env: 'dev',
        service: 'payments',
        instance,
      },
      ...{ sequence: 5, n: 1, at: new Date().toISOString(), state: 'failed', version: '1.1.0', timings: {} },
      error: { code: 'HOOK_FAILED', message: 'no', detail: 'x'.repeat(4000) },
      warning: 'slow',
    });
  }
  const { value } = await recordOutcome(session, stored, success, { ...progress, reports });
  const results = Object.values(value.results ?? {});
  expect(results).toHaveLength(150);
  expect(results.filter(({ error, warning }) => error && warning)).toHaveLength(100);
  expect(results.filter(({ error, warning }) => error || warning)).toHaveLength(100);
  expect(JSON.stringify(results)).not.toContain('xxxx');
});
