import { DeleteQueueCommand, GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { describe, expect, it, onTestFinished } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import {
  deployed,
  deploysHeard,
  openStageForEach,
  options,
  replyQueues,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import { HandClock, notes } from '../../../support/publisher/stage.ts';

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

describe('a deployment whose reply queue is deleted in the middle', () => {
  it.each(STRATEGIES)('goes on by the record, and says so: $name', async (strategy) => {
    const { sqs, close } = clientsOf(stage.cloud);
    onTestFinished(close);
    const clock = new HandClock();
    const deleted = Promise.withResolvers<void>();
    await deployed(
      async () => {
        await deleted.promise;
        return ['switching', 'succeeded'];
      },
      () => ['switching', 'succeeded'],
    );
    const session = await stage.open(clock);
    const deploying = deploy(session, options({ strategy, allowMissing: 0 }));
    const ended = clock.during(deploying, 100);
    await expect.poll(() => session.events.some(({ type }) => type === 'report')).toBe(true);
    for (const name of replyQueues()) {
      const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: name }));
      await sqs.send(new DeleteQueueCommand({ QueueUrl }));
    }
    deleted.resolve();
    expect(await ended).toBe(0);
    expect(notes(session.events)).toContainEqual(expect.stringContaining('reading reports from the record'));
  });
});
