import { describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import {
  deployed,
  deploysHeard,
  openStageForEach,
  options,
  replyQueues,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';

openStageForEach();

const STRATEGIES: Strategy[] = [
  { name: 'all' },
  {
    ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 1 } },
    ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
  },
];

describe('the rollback of a failed deployment', () => {
  it.each(STRATEGIES)('does not wait for the deletion of its reply queue: $name', async (strategy) => {
    const [agent] = await deployed(
      () => ['switching', 'succeeded'],
      () => [{ state: 'rolled-back', code: 'CHECK_FAILED' }],
    );
    const before = stage.cloud.requests.length;
    expect(await deploy(await stage.open(), options({ strategy }))).toBe(1);
    expect(agent && deploysHeard(agent).at(-1)).toEqual(['1.0.0', 'rollback']);
    const asked = stage.cloud.requests.slice(before).map(({ operation }) => operation);
    const rollback = asked.lastIndexOf('Publish');
    expect(asked.slice(rollback).filter((one) => one === 'DeleteQueue')).toHaveLength(2);
    expect(replyQueues()).toEqual([]);
  });
});
