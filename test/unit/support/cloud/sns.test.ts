import { PublishCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, ReceiveMessageCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Clients, clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';
import { policyAllowsTopic } from '../../../support/cloud/policy.ts';
import { SNS_SENDER_ID } from '../../../support/cloud/sqs.ts';

const topic = 'arn:aws:sns:eu-west-1:000000000000:trigger-deploy-dev';
const queue = 'arn:aws:sqs:eu-west-1:000000000000:trigger-deploy-dev-i-0abc';
const statement = {
  Effect: 'Allow',
  Principal: { Service: 'sns.amazonaws.com' },
  Action: 'sqs:SendMessage',
  Resource: queue,
  Condition: { ArnEquals: { 'aws:SourceArn': topic } },
};
const policy = (...changes: object[]): string =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: changes.length ? changes.map((change) => ({ ...statement, ...change })) : [statement],
  });

describe('a queue policy', () => {
  it.each([
    ['in the AWS docs', {}],
    [
      'with ArnLike and a pattern',
      { Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:sns:*:*:trigger-deploy-*' } } },
    ],
    ['with StringEquals', { Condition: { StringEquals: { 'AWS:SourceArn': [topic] } } }],
    ['for anyone, from this topic', { Principal: '*' }],
    ['for any AWS account, from this topic', { Principal: { AWS: '*' } }],
    ['in capitals, with a list of actions', { Action: ['SQS:ReceiveMessage', 'SQS:SendMessage'] }],
    ['for every action on every queue', { Action: 'sqs:*', Resource: '*' }],
  ])('lets the topic deliver: %s', (_title, change) => {
    expect(policyAllowsTopic(policy(change), queue, topic)).toBe(true);
  });

  it.each([
    ['another topic', { Condition: { ArnEquals: { 'aws:SourceArn': `${topic}-2` } } }],
    ['another queue', { Resource: `${queue}-2` }],
    ['another action', { Action: 'sqs:ReceiveMessage' }],
    ['another service', { Principal: { Service: 'events.amazonaws.com' } }],
    ['an operator that cannot be met', { Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } }],
    ['a denial', { Effect: 'Deny' }],
  ])('does not: %s', (_title, change) => {
    expect(policyAllowsTopic(policy(change), queue, topic)).toBe(false);
  });

  it('does not: none, or one that denies as well as allows', () => {
    expect(policyAllowsTopic(undefined, queue, topic)).toBe(false);
    expect(policyAllowsTopic(policy({}, { Effect: 'Deny' }), queue, topic)).toBe(false);
  });
});

describe('a topic', () => {
  let cloud: Cloud;
  let clients: Clients;
  let QueueUrl: string;

  beforeAll(async () => {
    cloud = await startCloud();
    clients = clientsOf(cloud);
    expect(cloud.createTopic('trigger-deploy-dev')).toBe(topic);
    const created = await clients.sqs.send(
      new CreateQueueCommand({ QueueName: 'trigger-deploy-dev-i-0abc' }),
    );
    QueueUrl = created.QueueUrl ?? '';
    await clients.sns.send(
      new SubscribeCommand({
        TopicArn: topic,
        Protocol: 'sqs',
        Endpoint: queue,
        Attributes: { RawMessageDelivery: 'true' },
      }),
    );
  });
  afterAll(async () => {
    clients.close();
    await cloud.stop();
  });

  const setPolicy = (Policy: string) =>
    clients.sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
  const publish = (Message: string) => clients.sns.send(new PublishCommand({ TopicArn: topic, Message }));

  it('silently delivers nothing to a queue without a policy, or with one for another topic', async () => {
    await publish('to no policy');
    await setPolicy(policy({ Condition: { ArnEquals: { 'aws:SourceArn': `${topic}-2` } } }));
    await publish('to another policy');
    expect(cloud.messages('trigger-deploy-dev-i-0abc')).toEqual([]);
  });

  it('delivers raw, and as itself: not as the publisher', async () => {
    await setPolicy(policy());
    await publish('hello');
    const { Messages = [] } = await clients.sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MessageSystemAttributeNames: ['SenderId'] }),
    );
    expect(Messages.map(({ Body, Attributes }) => [Body, Attributes?.SenderId])).toEqual([
      ['hello', SNS_SENDER_ID],
    ]);
  });

  it('subscribing the same queue again in the same way is the same subscription, in another way an error', async () => {
    const subscribe = (raw: string) =>
      clients.sns.send(
        new SubscribeCommand({
          TopicArn: topic,
          Protocol: 'sqs',
          Endpoint: queue,
          Attributes: { RawMessageDelivery: raw },
        }),
      );
    const again = await subscribe('true');
    expect((await subscribe('true')).SubscriptionArn).toBe(again.SubscriptionArn);
    await expect(subscribe('false')).rejects.toMatchObject({ name: 'InvalidParameterException' });
  });

  it('takes a message of 256 KiB and no byte more', async () => {
    await publish('x'.repeat(256 * 1024));
    await expect(publish('x'.repeat(256 * 1024 + 1))).rejects.toMatchObject({
      name: 'InvalidParameterException',
    });
  });

  it('that does not exist is NotFound', async () => {
    await expect(
      clients.sns.send(new PublishCommand({ TopicArn: `${topic}-2`, Message: 'hello' })),
    ).rejects.toMatchObject({ name: 'NotFoundException', $metadata: { httpStatusCode: 404 } });
  });
});
