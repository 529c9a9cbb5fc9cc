import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { PublishCommand, SubscribeCommand, UnsubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  ReceiveMessageCommand,
  TagQueueCommand,
} from '@aws-sdk/client-sqs';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { USERID_TAG } from '../../../../shared/names.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';
import { instanceKey, powerfulKey, sessionKey, userIdOf } from '../../../support/cloud/sqs.ts';
import { takeDenials } from '../../../support/iam/ledger.ts';

/** How the embedded cloud applies the printed policies to the access keys of its callers. */

const Bucket = 'acme-deploys-dev';
let cloud: Cloud;
let topic: string;
let one: ReturnType<typeof clientsOf>;
const opened: ReturnType<typeof clientsOf>[] = [];
const by = (accessKeyId: string) => {
  const clients = clientsOf(cloud, accessKeyId);
  opened.push(clients);
  return clients;
};
beforeAll(async () => {
  cloud = await startCloud();
  cloud.createBucket(Bucket);
  topic = cloud.createTopic('trigger-deploy-dev');
  one = by(instanceKey('i-1'));
});
afterEach(() => void takeDenials());
afterAll(async () => {
  for (const clients of opened) clients.close();
  await cloud.stop();
});

const put = (Key: string, caller = one) => caller.s3.send(new PutObjectCommand({ Bucket, Key, Body: '{}' }));
const denied = { $metadata: { httpStatusCode: 403 } };
const tags = (id: string) => ({ [USERID_TAG]: userIdOf(id) });
const create = (QueueName: string, of?: Record<string, string>, caller = one) =>
  caller.sqs.send(new CreateQueueCommand({ QueueName, ...(of && { tags: of }) }));

it.each([
  [`state/dev/payments/instances/${userIdOf('i-1')}.json`, true],
  [`state/dev/payments/deployments/x/reports/${userIdOf('i-1')}.json`, true],
  [`state/dev/payments/instances/${userIdOf('i-2')}.json`, false],
  [`state/dev/payments/instances/${userIdOf('i-1')}.json.json`, false],
  [`state/dev/payments/instances/x${userIdOf('i-1')}.json`, false],
  [`state/prd/payments/instances/${userIdOf('i-1')}.json`, false],
  ['state/dev/payments/instances/i-1.json', false],
  ['state/dev/payments/instances/AROAOTHER:i-1.json', false],
  ['state/dev/payments/desired.jws', false],
  ['artifacts/payments/1.0.0/manifest.jws', false],
])('an instance that writes %s is allowed: %s', async (key, isAllowed) => {
  if (isAllowed) await put(key);
  else await expect(put(key)).rejects.toMatchObject(denied);
});

it('a queue with the tag of its instance is its own; any other is not, and tags cannot be taken over', async () => {
  const two = by(instanceKey('i-2'));
  await expect(create('trigger-deploy-dev-i-1')).rejects.toMatchObject(denied);
  await expect(create('trigger-deploy-dev-i-1', tags('i-2'))).rejects.toMatchObject(denied);
  const { QueueUrl } = await create('trigger-deploy-dev-i-1', tags('i-1'));
  const receive = new ReceiveMessageCommand({ QueueUrl });
  await one.sqs.send(receive);
  const found = await two.sqs.send(new GetQueueUrlCommand({ QueueName: 'trigger-deploy-dev-i-1' }));
  expect(found).toHaveProperty('QueueUrl');
  await expect(two.sqs.send(receive)).rejects.toMatchObject(denied);
  const take = new TagQueueCommand({ QueueUrl, Tags: tags('i-2') });
  await expect(two.sqs.send(take)).rejects.toMatchObject(denied);
  await one.sqs.send(new TagQueueCommand({ QueueUrl, Tags: tags('i-1') }));
});

it('what is done to a subscription is authorized against its topic', async () => {
  const subscribe = (caller: string, Endpoint: string) =>
    by(caller).sns.send(new SubscribeCommand({ TopicArn: topic, Protocol: 'sqs', Endpoint }));
  const own = topic.replace(':sns:', ':sqs:').replace(/dev$/, 'dev-i-1');
  const { SubscriptionArn } = await subscribe(instanceKey('i-1'), own);
  await expect(subscribe('reader', own)).rejects.toMatchObject({ name: 'AuthorizationErrorException' });
  await expect(by('reader').sns.send(new UnsubscribeCommand({ SubscriptionArn }))).rejects.toMatchObject({
    message: expect.stringMatching(/sns:Unsubscribe on resource: arn:aws:sns:.*:trigger-deploy-dev because/),
  });
  await one.sns.send(new UnsubscribeCommand({ SubscriptionArn }));
});

it('a missing object is 404 to those who may list the bucket', async () => {
  const get = (Key: string) => one.s3.send(new GetObjectCommand({ Bucket, Key }));
  await expect(get('state/dev/payments/desired.jws')).rejects.toMatchObject({ name: 'NoSuchKey' });
  await expect(get('state/dev/payments/lock.json')).rejects.toMatchObject(denied);
});

it('each access key has the policy of its role; one that may do anything is named so, and no other may', async () => {
  await by('publisher').s3.send(
    new PutObjectCommand({ Bucket, Key: 'state/dev/payments/desired.jws', Body: '-' }),
  );
  await by('publisher-2').sns.send(new PublishCommand({ TopicArn: topic, Message: 'x' }));
  for (const key of ['reader', 'console']) {
    await by(key).s3.send(new ListObjectsV2Command({ Bucket }));
    await expect(put('state/dev/payments/desired.jws', by(key))).rejects.toMatchObject(denied);
  }
  for (const key of ['operator', 'operator-mallory', powerfulKey('i-1')]) {
    await put('state/dev/payments/desired.jws', by(key));
    await by(key).sqs.send(new ListQueuesCommand({}));
  }
  await expect(
    put('state/dev/payments/desired.jws', by(sessionKey('AROAOTHER', 'i-1'))),
  ).rejects.toMatchObject(denied);
  await put('state/dev/payments/instances/AROAOTHER:i-1.json', by(sessionKey('AROAOTHER', 'i-1')));
  await expect(put('state/dev/payments/desired.jws', by('somebody'))).rejects.toThrow('names no role');
});

it('an instance asks STS without any permission', async () => {
  const sts = new STSClient({
    ...{ endpoint: cloud.endpoint, region: cloud.region },
    credentials: { accessKeyId: instanceKey('i-1'), secretAccessKey: 'any' },
  });
  expect(await sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ UserId: userIdOf('i-1') });
  sts.destroy();
});

it('denials are kept until a test takes them', async () => {
  await expect(
    by('console').sns.send(new PublishCommand({ TopicArn: topic, Message: 'x' })),
  ).rejects.toThrow();
  expect(takeDenials('agent')).toEqual([]);
  expect(takeDenials('console')).toEqual([`sns:Publish ${topic}`]);
  expect(takeDenials()).toEqual([]);
});
