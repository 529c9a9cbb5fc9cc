import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Clients, clientsOf } from '../../../support/cloud/clients.ts';
import { type Cloud, startCloud } from '../../../support/cloud/cloud.ts';
import { Deliveries } from '../../../support/cloud/deliveries.ts';
import { type Call, CLIENT_GONE } from '../../../support/cloud/requests.ts';
import { instanceKey, powerfulKey, StrictSqsStore } from '../../../support/cloud/sqs.ts';

let cloud: Cloud;
let clients: Clients;
let QueueName: string;
let queues = 0;

beforeAll(async () => {
  cloud = await startCloud();
  clients = clientsOf(cloud);
});
afterAll(async () => {
  clients.close();
  await cloud.stop();
});
beforeEach(() => {
  queues += 1;
  QueueName = `trigger-deploy-dev-i-${queues}`;
});

async function createQueue(Attributes: Record<string, string> = {}, name = QueueName): Promise<string> {
  const { QueueUrl = '' } = await clients.sqs.send(new CreateQueueCommand({ QueueName: name, Attributes }));
  return QueueUrl;
}

async function receive(QueueUrl: string, WaitTimeSeconds = 0): Promise<Message[]> {
  const input = { QueueUrl, WaitTimeSeconds, MaxNumberOfMessages: 10 };
  const { Messages } = await clients.sqs.send(
    new ReceiveMessageCommand({ ...input, MessageSystemAttributeNames: ['All'] }),
  );
  return Messages ?? [];
}

const openPoll = (nth = 0) =>
  cloud.until(
    (request) =>
      request.operation === 'ReceiveMessage' &&
      request.status === undefined &&
      cloud.requests.filter(({ operation, queue }) => operation === 'ReceiveMessage' && queue === QueueName)[
        nth
      ] === request,
  );

describe('a queue name', () => {
  it('may have 80 characters', async () => {
    const url = await createQueue({}, 'q'.repeat(80));
    expect(url).toBe(`${cloud.endpoint}/000000000000/${'q'.repeat(80)}`);
  });

  it.each(['q'.repeat(81), 'dots.are.not', 'nor spaces', 'queue.fifo'])(
    '%s is InvalidParameterValue',
    async (name) => {
      await expect(createQueue({}, name)).rejects.toMatchObject({
        name: 'InvalidParameterValue',
        message: 'Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length',
        $metadata: { httpStatusCode: 400 },
      });
    },
  );

  it('that does not exist is QueueDoesNotExist', async () => {
    await expect(clients.sqs.send(new GetQueueUrlCommand({ QueueName }))).rejects.toMatchObject({
      name: 'QueueDoesNotExist',
      Code: 'AWS.SimpleQueueService.NonExistentQueue',
    });
  });
});

describe('creating a queue that exists', () => {
  it('answers its URL when the attributes are the same, or left out', async () => {
    const url = await createQueue({ MessageRetentionPeriod: '3600' });
    expect(await createQueue({ MessageRetentionPeriod: '3600' })).toBe(url);
    expect(await createQueue()).toBe(url);
  });

  it.each([
    { MessageRetentionPeriod: '7200' },
    // One that the queue was created without is a different value too.
    { Policy: '{"Statement":[]}' },
  ])('is QueueNameExists with %o', async (attributes) => {
    await createQueue({ MessageRetentionPeriod: '3600' });
    await expect(createQueue(attributes)).rejects.toMatchObject({
      name: 'QueueNameExists',
      Code: 'QueueAlreadyExists',
      $metadata: { httpStatusCode: 400 },
    });
  });
});

describe('a deleted queue', () => {
  it('cannot be created again for 60 s: QueueDeletedRecently', async () => {
    const QueueUrl = await createQueue();
    await clients.sqs.send(new DeleteQueueCommand({ QueueUrl }));
    await expect(createQueue()).rejects.toMatchObject({
      name: 'QueueDeletedRecently',
      Code: 'AWS.SimpleQueueService.QueueDeletedRecently',
    });
  });

  it('can be created again when the window, an option, is over', async () => {
    const brief = await startCloud({ queueRecreationMs: 0 });
    const { sqs, close } = clientsOf(brief);
    const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName }));
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
    await sqs.send(new CreateQueueCommand({ QueueName }));
    expect(brief.queues()).toEqual([QueueName]);
    close();
    await brief.stop();
  });
});

describe('a value out of range is refused:', () => {
  it('WaitTimeSeconds over 20, MaxNumberOfMessages over 10', async () => {
    const QueueUrl = await createQueue();
    for (const input of [{ WaitTimeSeconds: 21 }, { MaxNumberOfMessages: 11 }]) {
      await expect(clients.sqs.send(new ReceiveMessageCommand({ QueueUrl, ...input }))).rejects.toMatchObject(
        {
          name: 'InvalidParameterValue',
        },
      );
    }
  });

  it.each([
    { ReceiveMessageWaitTimeSeconds: '21' },
    { MessageRetentionPeriod: '59' },
    { Policy: 'not JSON' },
  ])('%o', async (Attributes) => {
    const QueueUrl = await createQueue();
    await expect(
      clients.sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes })),
    ).rejects.toMatchObject({
      name: 'InvalidAttributeValue',
    });
  });

  it('a message over 1 MiB', async () => {
    const QueueUrl = await createQueue();
    const send = (size: number) =>
      clients.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'x'.repeat(size) }));
    await send(1024 * 1024);
    await expect(send(1024 * 1024 + 1)).rejects.toMatchObject({ name: 'InvalidParameterValue' });
  });
});

describe('SenderId', () => {
  it('is the role session of the instance that sent the message, alone or in a batch', async () => {
    const QueueUrl = await createQueue();
    const instance = clientsOf(cloud, powerfulKey('i-0abc'));
    await instance.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'alone' }));
    await instance.sqs.send(
      new SendMessageBatchCommand({ QueueUrl, Entries: [{ Id: 'a', MessageBody: 'in a batch' }] }),
    );
    instance.close();
    const senders = (await receive(QueueUrl)).map(({ Body, Attributes }) => [Body, Attributes?.SenderId]);
    expect(senders).toEqual([
      ['alone', 'AROAEMBEDDEDCLOUD:i-0abc'],
      ['in a batch', 'AROAEMBEDDEDCLOUD:i-0abc'],
    ]);
  });

  it('is a user for any other access key, and only returned when asked for', async () => {
    const QueueUrl = await createQueue();
    await clients.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello' }));
    const { Messages } = await clients.sqs.send(
      new ReceiveMessageCommand({ QueueUrl, VisibilityTimeout: 0 }),
    );
    expect(Messages?.[0]?.Attributes?.SenderId).toBeUndefined();
    expect((await receive(QueueUrl))[0]?.Attributes?.SenderId).toBe('AIDAOPERATOR');
  });

  it('of a raw message is of the access key given', async () => {
    const QueueUrl = await createQueue();
    cloud.sendRaw(QueueName, 'forged', instanceKey('i-0bad'));
    expect((await receive(QueueUrl))[0]?.Attributes?.SenderId).toBe('AROAEMBEDDEDCLOUD:i-0bad');
  });
});

describe('a long poll', () => {
  it('is answered by the message it waits for', async () => {
    const QueueUrl = await createQueue();
    const polling = receive(QueueUrl, 20);
    await openPoll();
    await clients.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: 'hello' }));
    expect((await polling).map(({ Body }) => Body)).toEqual(['hello']);
  });

  it('whose client has gone ends, and takes no message with it', async () => {
    const QueueUrl = await createQueue({ VisibilityTimeout: '43200' });
    const client = new AbortController();
    const polling = clients.sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }), {
      abortSignal: client.signal,
    });
    await openPoll();
    client.abort();
    await expect(polling).rejects.toMatchObject({ name: 'AbortError' });
    await cloud.until(({ queue, status }) => queue === QueueName && status === CLIENT_GONE);

    cloud.sendRaw(QueueName, 'hello');
    expect((await receive(QueueUrl)).map(({ Body }) => Body)).toEqual(['hello']);
  });

  it('ends as soon as its client has gone, not when its time is up', async () => {
    const calls = new AsyncLocalStorage<Call>();
    const store = new StrictSqsStore(calls, new Deliveries(), {
      queueRecreationMs: 0,
      deadPollsReceive: false,
    });
    const queue = store.createQueue(QueueName, '/queue', 'arn:aws:sqs:eu-west-1:000000000000:queue');
    const client = new AbortController();
    const record = { at: 0, service: 'sqs', operation: 'ReceiveMessage' } as const;
    const poll = calls.run({ record, headers: {}, gone: client.signal }, () => queue.waitForMessages(20));
    client.abort();
    await poll;
    expect(queue.pollWaiters).toEqual([]);
  });

  it('whose client goes in the middle of the answer gives its messages back', async () => {
    const QueueUrl = await createQueue({ VisibilityTimeout: '43200' });
    // More than the sockets between them can hold, to a client that does not read.
    for (let n = 0; n < 10; n++) cloud.sendRaw(QueueName, 'x'.repeat(1024 * 1024));
    const body = JSON.stringify({ QueueUrl, MaxNumberOfMessages: 10 });
    const client = request(cloud.endpoint, {
      method: 'POST',
      headers: {
        authorization: 'AWS4-HMAC-SHA256 Credential=operator/20250101/eu-west-1/sqs/aws4_request',
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': 'AmazonSQS.ReceiveMessage',
      },
    }).end(body);
    const [response] = (await once(client, 'response')) as [IncomingMessage];
    response.pause();
    client.destroy();
    await cloud.until(({ queue, status }) => queue === QueueName && status === CLIENT_GONE);
    expect(await receive(QueueUrl)).toHaveLength(10);
  });

  it('leaves the others open when its client goes', async () => {
    const QueueUrl = await createQueue();
    const client = new AbortController();
    const going = clients.sqs
      .send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20 }), { abortSignal: client.signal })
      .catch(() => 'gone');
    await openPoll();
    const staying = receive(QueueUrl, 20);
    await openPoll(1);
    client.abort();
    await going;
    await cloud.until(({ queue, status }) => queue === QueueName && status === CLIENT_GONE);
    cloud.sendRaw(QueueName, 'hello');
    expect((await staying).map(({ Body }) => Body)).toEqual(['hello']);
  });
});

it('a received message is gone once deleted, and comes again when its visibility timeout is over', async () => {
  const QueueUrl = await createQueue();
  cloud.sendRaw(QueueName, 'hello');
  await clients.sqs.send(new ReceiveMessageCommand({ QueueUrl, VisibilityTimeout: 0 }));
  const [message] = await receive(QueueUrl);
  expect(message?.Attributes?.ApproximateReceiveCount).toBe('2');
  expect(cloud.messages(QueueName)).toEqual(['hello']);
  await clients.sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message?.ReceiptHandle }));
  expect(cloud.messages(QueueName)).toEqual([]);
});
