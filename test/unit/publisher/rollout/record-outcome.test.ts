import { expect, test } from 'vitest';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { settledEvent } from '../../../../publisher/rollout/record-outcome.ts';
import { systemClock } from '../../../support/host/clock.ts';

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
