import {
  CreateQueueCommand,
  DeleteQueueCommand,
  QueueDoesNotExist,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { describe, expect, test, vi } from 'vitest';
import { createAgentQueue, isQueueGone } from '../../../../agent/aws/queue.ts';
import { NEVER } from '../../../../shared/abort.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { silentLog } from '../../../../shared/log.ts';
import { fakeAws, rejection, signAs } from '../../../support/aws/fixture.ts';
import {
  attributesOf,
  insteadOnce,
  QUEUE,
  queueAndCloud,
  subscriptionsOf,
  urlOf,
  userId,
} from '../../../support/aws/queue-fixture.ts';
import { powerfulKey } from '../../../support/cloud/sqs.ts';
import { takeDenials } from '../../../support/iam/ledger.ts';

describe('ensure', () => {
  test('a message published to the topic is received unchanged', async () => {
    const { queue, publish } = await queueAndCloud();
    await queue.ensure(NEVER);
    const before = Date.now();
    await publish('the announcement');
    const [message, ...others] = await queue.receive(NEVER);
    expect(message).toMatchObject({ body: 'the announcement', receiveCount: 1 });
    expect(Math.abs((message?.sentAt ?? 0) - before)).toBeLessThan(5000);
    expect(others).toEqual([]);
  });

  test('the queue keeps messages for an hour, encrypted, and hides a received one for 30 s', async () => {
    const { queue, aws } = await queueAndCloud();
    await queue.ensure(NEVER);
    expect(await attributesOf(aws)).toMatchObject({
      MessageRetentionPeriod: '3600',
      ReceiveMessageWaitTimeSeconds: '20',
      VisibilityTimeout: '30',
      SqsManagedSseEnabled: 'true',
    });
  });

  test('a queue with other settings is corrected and keeps its messages', async () => {
    const { cloud, aws, hand, queue } = await queueAndCloud();
    const Attributes = { VisibilityTimeout: '5', MessageRetentionPeriod: '60' };
    await hand.sqs.send(new CreateQueueCommand({ QueueName: QUEUE, Attributes }));
    await hand.sqs.send(new SendMessageCommand({ QueueUrl: await urlOf(aws), MessageBody: 'earlier' }));
    await queue.ensure(NEVER);
    expect(await attributesOf(aws)).toMatchObject({
      VisibilityTimeout: '30',
      MessageRetentionPeriod: '3600',
    });
    expect(cloud.messages(QUEUE)).toEqual(['earlier']);
  });

  test('a second call changes nothing, and there is still one subscription', async () => {
    const { cloud, aws, queue, topic, asked } = await queueAndCloud();
    await queue.ensure(NEVER);
    const before = cloud.requests.length;
    await queue.ensure(NEVER);
    expect(asked(before)).toEqual([
      'GetQueueUrl',
      'TagQueue',
      'GetQueueAttributes',
      'Subscribe',
      'GetSubscriptionAttributes',
    ]);
    expect(await subscriptionsOf(aws, topic)).toHaveLength(1);
  });

  test('a queue that was just deleted is created again after the time that AWS requires', async () => {
    const { cloud, aws, hand, queue, publish } = await queueAndCloud({ queueRecreationMs: 400 });
    await queue.ensure(NEVER);
    await hand.sqs.send(new DeleteQueueCommand({ QueueUrl: await urlOf(aws) }));
    await queue.ensure(NEVER);
    expect(
      cloud.requests.filter(({ operation }) => operation === 'CreateQueue').map(({ status }) => status),
    ).toEqual([200, 400, 200]);
    await publish('after');
    expect(await queue.receive(NEVER)).toMatchObject([{ body: 'after' }]);
  });

  test('the wait for the name of a deleted queue ends when the agent stops', async () => {
    const { cloud, aws, hand, queue } = await queueAndCloud();
    await queue.ensure(NEVER);
    await hand.sqs.send(new DeleteQueueCommand({ QueueUrl: await urlOf(aws) }));
    const stop = new AbortController();
    const waiting = rejection(queue.ensure(stop.signal));
    await cloud.until(({ operation, status }) => operation === 'CreateQueue' && status === 400);
    stop.abort('stopping');
    expect(await waiting).toBe('stopping');
  });

  test.each(['CreateQueue', 'SetQueueAttributes', 'Subscribe'])(
    'an answer to %s that is lost, twice, changes nothing: one queue, one subscription, raw',
    async (lost) => {
      const { cloud, aws, queue, topic, publish } = await queueAndCloud();
      cloud.fail('answer-lost', ({ operation }) => operation === lost, 2);
      await queue.ensure(NEVER);
      expect(cloud.requests.filter(({ operation }) => operation === lost)).toHaveLength(3);
      expect(cloud.queues()).toEqual([QUEUE]);
      expect(await subscriptionsOf(aws, topic)).toHaveLength(1);
      await publish('bare');
      expect(await queue.receive(NEVER)).toMatchObject([{ body: 'bare' }]);
    },
  );

  test('a queue being deleted that still has a URL is set up again', async () => {
    const { aws, queue } = await queueAndCloud();
    await queue.ensure(NEVER);
    insteadOnce(aws.sqs, 'GetQueueAttributesCommand', () => {
      throw new QueueDoesNotExist({ message: 'gone', $metadata: {} });
    });
    await queue.ensure(NEVER);
    expect(await attributesOf(aws)).toMatchObject({ VisibilityTimeout: '30' });
  });
});

describe('receive', () => {
  test('a missing queue is recognised, and ensure restores it', async () => {
    const { aws, hand, queue, publish } = await queueAndCloud({ queueRecreationMs: 0 });
    await queue.ensure(NEVER);
    await hand.sqs.send(new DeleteQueueCommand({ QueueUrl: await urlOf(aws) }));
    const error = await rejection(queue.receive(NEVER));
    expect(error).toMatchObject({ code: 'AWS_REFUSED' });
    expect(isQueueGone(error)).toBe(true);
    // The condition of the policy asks for a tag, which no missing queue has.
    expect(takeDenials('agent')).toEqual([expect.stringContaining('sqs:ReceiveMessage')]);
    await queue.ensure(NEVER);
    await publish('again');
    expect(await queue.receive(NEVER)).toMatchObject([{ body: 'again' }]);
  });

  test('expired credentials are not taken for a missing queue', async () => {
    const { cloud, queue } = await queueAndCloud();
    await queue.ensure(NEVER);
    cloud.expireCredentials('session-i-0a');
    const error = await rejection(queue.receive(NEVER));
    expect(error).toMatchObject({ code: 'AWS_DENIED' });
    expect(isQueueGone(error)).toBe(false);
    cloud.renewCredentials('session-i-0a');
  });

  test('an open poll ends at once on an abort, with its reason', async () => {
    const { cloud, queue } = await queueAndCloud();
    await queue.ensure(NEVER);
    const stop = new AbortController();
    const polling = rejection(queue.receive(stop.signal));
    await cloud.until(({ operation }) => operation === 'ReceiveMessage');
    stop.abort('stopping');
    expect(await polling).toBe('stopping');
  });

  test('a deleted message is not delivered again, another one is', async () => {
    const { cloud, queue, publish } = await queueAndCloud();
    await queue.ensure(NEVER);
    await publish('one');
    const [one] = await queue.receive(NEVER);
    await publish('two');
    const [two] = await queue.receive(NEVER);
    expect([one?.body, two?.body]).toEqual(['one', 'two']);
    await queue.delete({ receiptHandle: one?.receiptHandle ?? '' }, NEVER);
    expect(cloud.messages(QUEUE)).toEqual(['two']);
  });

  test('a delete without an answer of AWS ends with its signal', async () => {
    const asked = Promise.withResolvers<void>();
    const aws = await fakeAws(({ headers }, response) => {
      const isDelete = String(headers['x-amz-target']).endsWith('DeleteMessage');
      if (isDelete) asked.resolve();
      else response.end(JSON.stringify({ QueueUrl: 'http://127.0.0.1:1/queue' }));
    });
    const topic = 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev';
    const queue = createAgentQueue({ aws, env: 'dev', instance: 'i-0a', topic, log: silentLog(), userId });
    const limit = new AbortController();
    const deleting = rejection(queue.delete({ receiptHandle: 'one' }, limit.signal));
    await asked.promise;
    limit.abort('too late');
    expect(await deleting).toBe('too late');
  });

  test('a restarted agent receives without setting up the queue', async () => {
    const { aws, topic, queue, publish } = await queueAndCloud();
    await queue.ensure(NEVER);
    await publish('while it was away');
    const next = createAgentQueue({ aws, env: 'dev', instance: 'i-0a', topic, log: silentLog(), userId });
    expect(await next.receive(NEVER)).toMatchObject([{ body: 'while it was away' }]);
  });

  test('an AWS that accepts the connection and never answers is unreachable after 20 s', async () => {
    const asked = vi.fn();
    const aws = await fakeAws(asked);
    const topic = 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev';
    const queue = createAgentQueue({ aws, env: 'dev', instance: 'i-0a', topic, log: silentLog(), userId });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const receiving = rejection(queue.receive(NEVER));
      for (let attempt = 1; attempt <= 3; attempt += 1) {
        const isAsked = async () => {
          // The SDK's pauses between its tries.
          if (attempt > 1) await vi.advanceTimersByTimeAsync(10);
          return asked.mock.calls.length === attempt;
        };
        await vi.waitUntil(isAsked, { timeout: 10_000 });
        await vi.advanceTimersByTimeAsync(8000);
      }
      expect(await receiving).toMatchObject({
        code: 'AWS_UNREACHABLE',
        message: expect.stringContaining('not answer'),
      });
    } finally {
      vi.useRealTimers();
    }
  });
});

/** The queue of an agent whose topic is missing. A policy would name another one. */
function withoutTopic(aws: Aws, topic: string) {
  signAs(aws, powerfulKey('i-0a'));
  return createAgentQueue({ aws, env: 'dev', instance: 'i-0a', topic, log: silentLog(), userId });
}

describe('leave', () => {
  test('deletes the queue and the subscription, and can be repeated', async () => {
    const { cloud, aws, queue, topic } = await queueAndCloud();
    await queue.ensure(NEVER);
    await queue.leave(NEVER);
    expect(cloud.queues()).toEqual([]);
    expect(await subscriptionsOf(aws, topic)).toEqual([]);
    await queue.leave(NEVER);
  });

  test('deletes the queue even if the topic is missing', async () => {
    const { cloud, aws, hand, topic } = await queueAndCloud();
    await hand.sqs.send(new CreateQueueCommand({ QueueName: QUEUE }));
    const queue = withoutTopic(aws, `${topic}x`);
    await queue.leave(NEVER);
    expect(cloud.queues()).toEqual([]);
  });

  test('deletes the queue even if it may not unsubscribe, and reports that', async () => {
    const { cloud, aws, queue } = await queueAndCloud();
    await queue.ensure(NEVER);
    insteadOnce(aws.sns, 'UnsubscribeCommand', () => {
      throw new Error('AccessDenied');
    });
    expect(await rejection(queue.leave(NEVER))).toMatchObject({
      message: expect.stringContaining('cannot unsubscribe'),
    });
    expect(cloud.queues()).toEqual([]);
  });
});

describe('probe', () => {
  test('finds an existing topic and a queue to be created in order, and creates nothing', async () => {
    const { cloud, queue } = await queueAndCloud();
    const findings = await queue.probe(NEVER);
    expect(findings.map(({ ok }) => ok)).toEqual([true, true]);
    expect(findings[1]?.what).toContain('does not exist; the agent creates it');
    expect(cloud.queues()).toEqual([]);
  });

  test('a missing topic is a finding with a hint', async () => {
    const { aws, topic } = await queueAndCloud();
    const queue = withoutTopic(aws, `${topic}x`);
    const [finding] = await queue.probe(NEVER);
    expect(finding).toMatchObject({ ok: false, hint: expect.stringContaining('`topic`') });
  });

  test('expired credentials are findings, not an error', async () => {
    const { cloud, queue } = await queueAndCloud();
    cloud.expireCredentials('session-i-0a');
    const findings = await queue.probe(NEVER);
    expect(findings.map(({ ok, hint }) => [ok, typeof hint])).toEqual([
      [false, 'string'],
      [false, 'string'],
    ]);
    cloud.renewCredentials('session-i-0a');
  });
});

test('only an error from awsCall counts as a missing queue', () => {
  const cause = new QueueDoesNotExist({ message: 'gone', $metadata: {} });
  expect(isQueueGone(new TriggerDeployError('AWS_UNREACHABLE', 'x', { cause }))).toBe(true);
  expect(isQueueGone(new TriggerDeployError('AWS_UNREACHABLE', 'x'))).toBe(false);
  expect(isQueueGone(cause)).toBe(false);
});
