import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { promisify } from 'node:util';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { ListTopicsCommand, PublishCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  ListQueuesCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Clients, clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';
import { CLIENT_GONE } from '../../../support/cloud/requests.ts';
import { powerfulKey } from '../../../support/cloud/sqs.ts';

const Bucket = 'acme-deploys-dev';
let cloud: Cloud;
let clients: Clients;

beforeEach(async () => {
  cloud = await startCloud();
  cloud.createBucket(Bucket);
  clients = clientsOf(cloud);
});
afterEach(async () => {
  clients.close();
  await cloud.stop();
});

const createQueue = async (QueueName = 'queue'): Promise<string> =>
  (await clients.sqs.send(new CreateQueueCommand({ QueueName }))).QueueUrl ?? '';
const put = (Key: string, { s3 } = clients, condition: { IfNoneMatch?: string } = {}) =>
  s3.send(new PutObjectCommand({ Bucket, Key, Body: 'hello', ...condition }));

it('listens on the loopback address only', async () => {
  expect(cloud.endpoint).toBe(`http://127.0.0.1:${cloud.port}`);
  const elsewhere = Object.values(networkInterfaces())
    .flat()
    .find((address) => address?.family === 'IPv4' && !address.internal);
  if (elsewhere)
    await expect(fetch(`http://${elsewhere.address}:${cloud.port}/`)).rejects.toThrow('fetch failed');
});

describe('credentials', () => {
  const everyService = ({ sqs, sns, s3 }: Clients) => [
    () => sqs.send(new ListQueuesCommand({})),
    () => sns.send(new ListTopicsCommand({})),
    () => s3.send(new GetObjectCommand({ Bucket, Key: 'key' })),
  ];

  it('are required: an unsigned request is refused in its own protocol', async () => {
    const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.ListQueues' };
    const sqs = await fetch(cloud.endpoint, { method: 'POST', headers, body: '{}' });
    expect(sqs.status).toBe(403);
    expect(await sqs.json()).toMatchObject({
      __type: expect.stringContaining('#MissingAuthenticationToken'),
    });

    const sns = await fetch(cloud.endpoint, {
      method: 'POST',
      body: new URLSearchParams({ Action: 'ListTopics' }),
    });
    expect(sns.status).toBe(403);
    expect(await sns.text()).toContain('<Code>MissingAuthenticationToken</Code>');

    const s3 = await fetch(`${cloud.endpoint}/${Bucket}/key`);
    expect(s3.status).toBe(403);
    expect(await s3.text()).toContain('<Code>AccessDenied</Code>');
  });

  it('that have expired are refused as ExpiredToken until they are renewed; others are not', async () => {
    const instance = clientsOf(cloud, powerfulKey('i-0abc'));
    cloud.expireCredentials(powerfulKey('i-0abc'));
    for (const ask of everyService(instance))
      await expect(ask()).rejects.toMatchObject({ name: 'ExpiredToken' });
    await put('of another');
    cloud.renewCredentials(powerfulKey('i-0abc'));
    await put('again', instance);
    instance.close();
  });
});

describe('the clock', () => {
  it('is in the Date header of every answer, of an error too', async () => {
    const dateOf = async (path: string) =>
      Date.parse((await fetch(cloud.endpoint + path)).headers.get('date') ?? '');
    expect(Math.abs((await dateOf('/')) - Date.now())).toBeLessThan(5_000);
  });

  it('an hour off is in the Date header, and the SDK corrects its own by it', async () => {
    const ahead = await startCloud({ clockOffsetMs: 3_600_000 });
    ahead.createBucket(Bucket);
    const once = clientsOf(ahead);
    const names = [];
    for (const ask of [
      () => once.sqs.send(new ListQueuesCommand({})),
      () => once.sns.send(new ListTopicsCommand({})),
      () => put('key', once),
    ]) {
      names.push(await ask().catch((error: Error) => error.name));
    }
    expect(names).toEqual(['InvalidSignatureException', 'SignatureDoesNotMatch', 'RequestTimeTooSkewed']);
    once.close();

    const patient = clientsOf(ahead, 'operator', 2);
    await patient.sqs.send(new ListQueuesCommand({}));
    await patient.sns.send(new ListTopicsCommand({}));
    await put('key', patient);
    expect(Math.abs(patient.s3.config.systemClockOffset - 3_600_000)).toBeLessThan(5_000);
    patient.close();
    await ahead.stop();
  });
});

describe('the record of requests', () => {
  it('names the caller, the operation, the object, queue or topic, and the outcome', async () => {
    const TopicArn = cloud.createTopic('trigger-deploy-dev');
    const QueueUrl = await createQueue();
    await put('a/b.jar');
    await clients.s3.send(new GetObjectCommand({ Bucket, Key: 'a/b.jar', Range: 'bytes=1-2' }));
    await expect(put('a/b.jar', clients, { IfNoneMatch: '*' })).rejects.toThrow();
    await clients.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello' }));
    await clients.sns.send(new PublishCommand({ TopicArn, Message: 'hello' }));

    const accessKeyId = 'operator';
    expect(cloud.requests).toMatchObject([
      { service: 'sqs', operation: 'CreateQueue', queue: 'queue', accessKeyId, status: 200 },
      { service: 's3', operation: 'PutObject', bucket: Bucket, key: 'a/b.jar', status: 200 },
      { service: 's3', operation: 'GetObject', key: 'a/b.jar', range: 'bytes=1-2', status: 206 },
      { service: 's3', operation: 'PutObject', key: 'a/b.jar', status: 412 },
      { service: 'sqs', operation: 'SendMessage', queue: 'queue', status: 200 },
      { service: 'sns', operation: 'Publish', topic: TopicArn, status: 200 },
    ]);
  });

  it('can be waited on, and given up', async () => {
    const asked = cloud.until(({ key }) => key === 'later');
    await put('later');
    expect(await asked).toMatchObject({ operation: 'PutObject' });
    await expect(cloud.until(() => false, AbortSignal.timeout(1))).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});

describe('a fault', () => {
  it('of conflict is 409 to a conditional write, once, and writes nothing', async () => {
    cloud.fail('conflict', ({ operation }) => operation === 'PutObject');
    await put('unconditional');
    await expect(put('key', clients, { IfNoneMatch: '*' })).rejects.toMatchObject({
      name: 'ConditionalRequestConflict',
      $metadata: { httpStatusCode: 409 },
    });
    expect(cloud.objects(Bucket)).toEqual(['unconditional']);
    await put('key', clients, { IfNoneMatch: '*' });
  });

  it('of unavailability is 503, as often as asked', async () => {
    cloud.fail('unavailable', ({ operation }) => operation === 'PutObject', 2);
    await expect(put('key')).rejects.toMatchObject({ name: 'SlowDown', $metadata: { httpStatusCode: 503 } });
    await expect(put('key')).rejects.toMatchObject({ name: 'SlowDown' });
    await put('key');
  });

  it('of a lost answer lets the work be done, so that a retry meets its own write', async () => {
    cloud.fail('answer-lost', ({ operation }) => operation === 'PutObject');
    const patient = clientsOf(cloud, 'operator', 2);
    await expect(put('key', patient, { IfNoneMatch: '*' })).rejects.toMatchObject({
      name: 'PreconditionFailed',
    });
    expect(cloud.object(Bucket, 'key')?.body.toString()).toBe('hello');
    expect(cloud.requests.map(({ status }) => status)).toEqual([CLIENT_GONE, 412]);
    patient.close();
  });
});

it('stops at once though long polls are open', async () => {
  const QueueUrl = await createQueue();
  const polls = Array.from({ length: 5 }, () =>
    clients.sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 })).catch(() => 'cut'),
  );
  await cloud.until(
    () => cloud.requests.filter(({ operation }) => operation === 'ReceiveMessage').length === 5,
  );
  const from = performance.now();
  await cloud.stop();
  expect(performance.now() - from).toBeLessThan(10_000);
  await Promise.all(polls);
});

describe('a child process', () => {
  const poll = `
    import { SQSClient, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
    await new SQSClient().send(new ReceiveMessageCommand({ QueueUrl: process.argv[1], WaitTimeSeconds: 20 }));`;

  it('that is killed in a long poll takes no message with it', async () => {
    const QueueUrl = await createQueue();
    const env = { ...process.env, ...cloud.env(powerfulKey('i-0abc')) };
    const child = spawn(process.execPath, ['--input-type=module', '-e', poll, QueueUrl], { env });
    const opened = await cloud.until(({ operation }) => operation === 'ReceiveMessage');
    expect(opened).toMatchObject({ accessKeyId: powerfulKey('i-0abc'), queue: 'queue' });
    child.kill('SIGKILL');
    await cloud.until(({ status }) => status === CLIENT_GONE);
    cloud.sendRaw('queue', 'hello');
    const { Messages } = await clients.sqs.send(new ReceiveMessageCommand({ QueueUrl }));
    expect(Messages?.map(({ Body }) => Body)).toEqual(['hello']);
  });

  it('reaches S3 with the environment alone: an address for an endpoint means path style', async () => {
    const script = `
      import { S3Client, ListObjectsV2Command } from '@aws-sdk/client-s3';
      const { KeyCount } = await new S3Client().send(new ListObjectsV2Command({ Bucket: '${Bucket}' }));
      console.log(KeyCount);`;
    cloud.putObject(Bucket, 'key', 'hello');
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, ...cloud.env('operator') },
    });
    expect(stdout.trim()).toBe('1');
  });
});

it('npm run cloud says what to export and where to go on, and ends cleanly on Ctrl-C', async () => {
  const child = spawn(process.execPath, ['test/support/cloud/main.ts', '--port', '0']);
  const [output] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string];
  const endpoint = /^export AWS_ENDPOINT_URL=(.+)$/m.exec(output)?.[1];
  const bucket = /^ {4}bucket: (.+)$/m.exec(output)?.[1];
  expect(output).toContain('    topic: arn:aws:sns:eu-west-1:000000000000:trigger-deploy-dev\n');
  const credentials = { accessKeyId: 'publisher', secretAccessKey: 'any' };
  const s3 = new S3Client({ endpoint: endpoint ?? '', region: 'eu-west-1', credentials });
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: 'artifacts/key', Body: 'hello' }));
  s3.destroy();
  child.kill('SIGINT');
  expect(await once(child, 'exit')).toEqual([0, null]);
});
