import { CreateQueueCommand, type Message, ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Clients, clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';

let cloud: Cloud;
let clients: Clients;
let QueueUrl: string;

beforeEach(async () => {
  cloud = await startCloud();
  clients = clientsOf(cloud);
  QueueUrl = (await clients.sqs.send(new CreateQueueCommand({ QueueName: 'queue' }))).QueueUrl ?? '';
});
afterEach(async () => {
  clients.close();
  await cloud.stop();
});

const send = (...bodies: string[]): void => {
  for (const body of bodies) cloud.sendRaw('queue', body);
};

async function receive(WaitTimeSeconds = 0): Promise<Message[]> {
  const input = { QueueUrl, WaitTimeSeconds, MaxNumberOfMessages: 10 };
  const { Messages } = await clients.sqs.send(
    new ReceiveMessageCommand({ ...input, MessageSystemAttributeNames: ['All'] }),
  );
  return Messages ?? [];
}

it('a duplicate is the same message with a receipt handle of its own', async () => {
  cloud.deliveries.duplicate();
  send('hello');
  const [first, second, ...others] = await receive();
  expect(others).toEqual([]);
  expect(second?.MessageId).toBe(first?.MessageId);
  expect(second?.Body).toBe('hello');
  expect(second?.Attributes).toMatchObject({ SenderId: 'AIDAPUBLISHER', ApproximateReceiveCount: '1' });
  expect(second?.ReceiptHandle).not.toBe(first?.ReceiptHandle);
});

it('reordering hands a group over newest first, and keeps an incomplete one', async () => {
  cloud.deliveries.reorder(3);
  send('1', '2', '3', '4');
  expect(cloud.messages('queue')).toEqual(['3', '2', '1']);
  cloud.deliveries.straight();
  expect(cloud.messages('queue')).toEqual(['3', '2', '1', '4']);
});

it('held messages come when they are released, as sent or reversed', async () => {
  cloud.deliveries.hold();
  send('1', '2');
  expect(cloud.messages('queue')).toEqual([]);
  expect(cloud.deliveries.held.map(({ body }) => body)).toEqual(['1', '2']);
  cloud.deliveries.release('reversed');
  send('3');
  expect(cloud.messages('queue')).toEqual(['2', '1', '3']);
});

it('a delayed message answers a long poll when its time has come', async () => {
  cloud.deliveries.delay(20);
  send('hello');
  expect(cloud.messages('queue')).toEqual([]);
  expect((await receive(20)).map(({ Body }) => Body)).toEqual(['hello']);
});

it('a rule acts on the deliveries it is meant for', async () => {
  cloud.deliveries.hold(({ via, queue, body }) => via === 'sqs' && queue === 'queue' && body === 'late');
  send('late', 'early');
  expect(cloud.messages('queue')).toEqual(['early']);
});

it('rules combine: duplicated and reordered', async () => {
  cloud.deliveries.duplicate(1);
  cloud.deliveries.reorder(4);
  send('1', '2');
  expect(cloud.messages('queue')).toEqual(['2', '2', '1', '1']);
});

it('straight ends every rule and loses nothing', async () => {
  cloud.deliveries.delay(60_000, ({ body }) => body === 'delayed');
  cloud.deliveries.hold(({ body }) => body === 'held');
  send('delayed', 'held');
  cloud.deliveries.straight();
  send('direct');
  expect(cloud.messages('queue').sort()).toEqual(['delayed', 'direct', 'held']);
});
