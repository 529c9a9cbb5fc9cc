import {
  GetSubscriptionAttributesCommand,
  SetSubscriptionAttributesCommand,
  SubscribeCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import { SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { describe, expect, test } from 'vitest';
import { type AgentQueue, createAgentQueue } from '../../../../agent/aws/queue.ts';
import { NEVER } from '../../../../shared/abort.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { silentLog } from '../../../../shared/log.ts';
import { rejection, signAs } from '../../../support/aws/fixture.ts';
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

describe('the subscription', () => {
  test('no other topic can send to the queue', async () => {
    const { cloud, aws, hand, queue, topic, publish } = await queueAndCloud();
    await queue.ensure(NEVER);
    const other = cloud.createTopic('another-topic');
    const { QueueArn } = await attributesOf(aws);
    await hand.sns.send(new SubscribeCommand({ TopicArn: other, Protocol: 'sqs', Endpoint: QueueArn }));
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
    // A policy names the topic of the config, which is another one here.
    signAs(aws, powerfulKey('i-0a'));
    const missing = `${topic}x`;
    const queue = createAgentQueue({
      aws,
      env: 'dev',
      instance: 'i-0a',
      topic: missing,
      log: silentLog(),
      userId,
    });
    expect(await rejection(queue.ensure(NEVER))).toMatchObject({
      code: 'TOPIC_NOT_FOUND',
      message: expect.stringContaining(missing),
    });
  });
});

describe('probe', () => {
  const problems = async ({ queue }: { queue: AgentQueue }) =>
    (await queue.probe(NEVER)).filter(({ ok, hint }) => !ok || hint !== undefined);

  async function setAttribute(
    { aws, topic }: { aws: Aws; topic: string },
    AttributeName: string,
    AttributeValue: string,
  ) {
    const [SubscriptionArn] = await subscriptionsOf(aws, topic);
    await aws.sns.send(
      new SetSubscriptionAttributesCommand({ SubscriptionArn, AttributeName, AttributeValue }),
    );
  }

  test('a queue that the agent has set up is subscribed, and nothing is changed', async () => {
    const world = await queueAndCloud();
    await world.queue.ensure(NEVER);
    const before = world.cloud.requests.length;
    expect((await world.queue.probe(NEVER)).at(-1)).toEqual({
      ok: true,
      what: `the queue is subscribed to ${world.topic}`,
    });
    expect(world.asked(before).filter((operation) => !/^(Get|List)/.test(operation))).toEqual([]);
  });

  test('a subscription without raw delivery is a problem until the agent starts again', async () => {
    const world = await queueAndCloud();
    await world.queue.ensure(NEVER);
    await setAttribute(world, 'RawMessageDelivery', 'false');
    expect(await problems(world)).toEqual([
      {
        ok: false,
        what: expect.stringContaining('no raw message delivery'),
        hint: 'restart the agent: it corrects this when it starts',
      },
    ]);
    await world.queue.ensure(NEVER);
    expect(await problems(world)).toEqual([]);
  });

  test('a queue that is not subscribed is a problem', async () => {
    const world = await queueAndCloud();
    await world.queue.ensure(NEVER);
    const [SubscriptionArn] = await subscriptionsOf(world.aws, world.topic);
    await world.aws.sns.send(new UnsubscribeCommand({ SubscriptionArn }));
    expect(await problems(world)).toMatchObject([
      { ok: false, what: `the queue is not subscribed to ${world.topic}` },
    ]);
  });

  test('a queue whose policy does not let the topic send is a problem', async () => {
    const world = await queueAndCloud();
    await world.queue.ensure(NEVER);
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [] });
    const set = { QueueUrl: await urlOf(world.aws), Attributes: { Policy } };
    await world.aws.sqs.send(new SetQueueAttributesCommand(set));
    expect(await problems(world)).toMatchObject([
      { ok: false, what: expect.stringContaining(`the policy of the queue ${QUEUE}`) },
    ]);
  });

  test('a filter policy is a warning', async () => {
    const world = await queueAndCloud();
    await world.queue.ensure(NEVER);
    await setAttribute(world, 'FilterPolicy', '{"colour":["red"]}');
    expect(await problems(world)).toMatchObject([
      { ok: true, what: expect.stringContaining('filter policy'), hint: expect.anything() },
    ]);
  });

  test('a subscription that cannot be read is a problem of its own', async () => {
    const { aws, queue } = await queueAndCloud();
    await queue.ensure(NEVER);
    insteadOnce(aws.sns, 'ListSubscriptionsByTopicCommand', () => {
      throw Object.assign(new Error('no'), {
        name: 'AuthorizationError',
        $metadata: { httpStatusCode: 403 },
      });
    });
    expect((await queue.probe(NEVER)).map(({ ok, what }) => [ok, what.split(':')[0]])).toEqual([
      [true, expect.anything()],
      [true, `the queue ${QUEUE} exists`],
      [false, `cannot read the subscription of the queue ${QUEUE}`],
    ]);
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
