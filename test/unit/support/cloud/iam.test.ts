import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  TagQueueCommand,
} from '@aws-sdk/client-sqs';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';
import { instanceKey, sessionKey, userIdOf } from '../../../support/cloud/sqs.ts';

/** The policy of docs/GETTING-STARTED.md, as the embedded cloud applies it to the role of the instances. */

const BUCKET = 'acme-deploys-dev';
let cloud: Cloud;
let one: ReturnType<typeof clientsOf>;
beforeAll(async () => {
  cloud = await startCloud({ instancePolicy: true });
  cloud.createBucket(BUCKET);
  one = clientsOf(cloud, instanceKey('i-1'));
});
afterAll(async () => {
  one.close();
  await cloud.stop();
});

const put = (Key: string, by = one) => by.s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: '{}' }));
const denied = { $metadata: { httpStatusCode: 403 } };
const tags = (id: string) => ({ 'trigger-deploy:userid': userIdOf(id) });
const create = (QueueName: string, of?: Record<string, string>, by = one) =>
  by.sqs.send(new CreateQueueCommand({ QueueName, ...(of && { tags: of }) }));

it.each([
  [`state/dev/payments/instances/${userIdOf('i-1')}.json`, true],
  [`state/dev/payments/deployments/x/reports/${userIdOf('i-1')}.json`, true],
  [`state/dev/payments/instances/${userIdOf('i-2')}.json`, false],
  [`state/dev/payments/instances/${userIdOf('i-1')}.json.json`, false],
  [`state/dev/payments/instances/x${userIdOf('i-1')}.json`, false],
  ['state/dev/payments/instances/i-1.json', false],
  ['state/dev/payments/instances/AROAOTHER:i-1.json', false],
  ['state/dev/payments/desired.jws', false],
  ['artifacts/payments/1.0.0/manifest.jws', false],
])('an instance that writes %s is allowed: %s', async (key, isAllowed) => {
  if (isAllowed) await put(key);
  else await expect(put(key)).rejects.toMatchObject(denied);
});

it('a queue with the tag of its instance is its own; any other is not, and tags cannot be taken over', async () => {
  const two = clientsOf(cloud, instanceKey('i-2'));
  await expect(create('trigger-deploy-dev-i-1')).rejects.toMatchObject(denied);
  await expect(create('trigger-deploy-dev-i-1', tags('i-2'))).rejects.toMatchObject(denied);
  const { QueueUrl } = await create('trigger-deploy-dev-i-1', tags('i-1'));
  const receive = new ReceiveMessageCommand({ QueueUrl });
  await one.sqs.send(receive);
  expect(await two.sqs.send(new GetQueueUrlCommand({ QueueName: 'trigger-deploy-dev-i-1' }))).toHaveProperty(
    'QueueUrl',
  );
  await expect(two.sqs.send(receive)).rejects.toMatchObject(denied);
  const take = new TagQueueCommand({ QueueUrl, Tags: tags('i-2') });
  await expect(two.sqs.send(take)).rejects.toMatchObject(denied);
  await one.sqs.send(new TagQueueCommand({ QueueUrl, Tags: tags('i-1') }));
  two.close();
});

it('nobody but the role of the instances has this policy', async () => {
  for (const key of ['publisher', sessionKey('AROAOTHER', 'i-1')]) {
    const other = clientsOf(cloud, key);
    await put('state/dev/payments/desired.jws', other);
    other.close();
  }
});

it('an instance reads what it needs, and asks STS without any permission', async () => {
  await one.s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'state/dev/payments/desired.jws' }));
  const sts = new STSClient({
    ...{ endpoint: cloud.endpoint, region: cloud.region },
    credentials: { accessKeyId: instanceKey('i-1'), secretAccessKey: 'any' },
  });
  expect(await sts.send(new GetCallerIdentityCommand({}))).toMatchObject({ UserId: userIdOf('i-1') });
  sts.destroy();
});
