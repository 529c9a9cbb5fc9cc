import {
  GetSubscriptionAttributesCommand,
  SetSubscriptionAttributesCommand,
  SubscribeCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import { describe, expect, test } from 'vitest';
import { createAgentQueue } from '../../../../agent/aws/queue.ts';
import { silentLog } from '../../../../shared/log.ts';
import { NEVER, rejection } from '../../../support/aws/fixture.ts';
import {
  attributesOf,
  insteadOnce,
  QUEUE,
  queueAndCloud,
  subscriptionsOf,
} from '../../../support/aws/queue-fixture.ts';

describe('the subscription', () => {
  test('no other topic can send to the queue', async () => {
    const { cloud, aws, queue, topic, publish } = await queueAndCloud();
    await queue.ensure(NEVER);
    const other = cloud.createTopic('another-topic');
    const { QueueArn } = await attributesOf(aws);
    await aws.sns.send(new SubscribeCommand({ TopicArn: other, Protocol: 'sqs', Endpoint: QueueArn }));
    await publish('not for you', other);
    await publish('for you', topic);
    expect(cloud.messages(QUEUE)).toEqual(['for you']);
  });

  test('a subscription without raw delivery is changed to raw', async () => {
    const { aws, queue, topic, publish } = await queueAndCloud();
    await queue.ensure(NEVER);
    const [SubscriptionArn] = await subscriptionsOf(aws, topic);
    const wrapped = { AttributeName: 'RawMessageDelivery', AttributeValue: 'false' };
    await aws.sns.send(new SetSubscriptionAttributesCommand({ SubscriptionArn, ...wrapped }));
    await queue.ensure(NEVER);
    await publish('bare');
    expect(await queue.receive(NEVER)).toMatchObject([{ body: 'bare' }]);
  });

  test('a subscription without raw delivery is changed to raw even if SNS accepts the identical Subscribe', async () => {
    const { aws, queue, topic } = await queueAndCloud();
    await queue.ensure(NEVER);
    const [SubscriptionArn] = await subscriptionsOf(aws, topic);
    const wrapped = { AttributeName: 'RawMessageDelivery', AttributeValue: 'false' };
    await aws.sns.send(new SetSubscriptionAttributesCommand({ SubscriptionArn, ...wrapped }));
    insteadOnce(aws.sns, 'SubscribeCommand', () => ({ SubscriptionArn, $metadata: {} }));
    await queue.ensure(NEVER);
    const { Attributes } = await aws.sns.send(new GetSubscriptionAttributesCommand({ SubscriptionArn }));
    expect(Attributes?.RawMessageDelivery).toBe('true');
  });

  test('the error for a missing topic names it', async () => {
    const { aws, topic } = await queueAndCloud();
    const missing = `${topic}x`;
    const queue = createAgentQueue({ aws, env: 'dev', instance: 'i-0a', topic: missing, log: silentLog() });
    expect(await rejection(queue.ensure(NEVER))).toMatchObject({
      code: 'TOPIC_NOT_FOUND',
      message: expect.stringContaining(missing),
    });
  });
});

describe('resubscribe', () => {
  test('a lost subscription is restored', async () => {
    const { cloud, aws, queue, topic, publish } = await queueAndCloud();
    await queue.ensure(NEVER);
    const [SubscriptionArn] = await subscriptionsOf(aws, topic);
    await aws.sns.send(new UnsubscribeCommand({ SubscriptionArn }));
    await publish('lost');
    await queue.resubscribe(NEVER);
    await publish('heard');
    expect(cloud.messages(QUEUE)).toEqual(['heard']);
  });

  test('makes one request', async () => {
    const { cloud, queue, asked } = await queueAndCloud();
    await queue.ensure(NEVER);
    const before = cloud.requests.length;
    await queue.resubscribe(NEVER);
    expect(asked(before)).toEqual(['Subscribe']);
  });
});
