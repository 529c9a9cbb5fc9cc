import { PutObjectCommand } from '@aws-sdk/client-s3';
import { SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import type { Announcement } from '../../../../shared/announcement.ts';
import { agentQueueName, replyQueueName, USERID_TAG } from '../../../../shared/names.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import { instanceKey, powerfulKey, userIdOf } from '../../../support/cloud/sqs.ts';
import { BUCKET, ENV, type Fleet, TOPIC } from '../../../support/fleet/fleet.ts';
import { payloadOf } from '../../../support/publisher/announcements.ts';

/**
 * A person with the role of one instance. `own` is the printed policy, which the embedded cloud enforces; `wide` is that of
 * version 0.1, where the role may write any name below `instances/` and `reports/`, which is enforced here. A `*` of IAM
 * matches any characters, `/` as well.
 */

export const EVIL = 'i-evil';
export const EVIL_USER = userIdOf(EVIL);
export type Policy = 'own' | 'wide';

const [QUEUE, REPLIES] = [agentQueueName(ENV, EVIL), replyQueueName(ENV, '')];

/** Whether the policy lets the role write this key. */
export function mayPut(policy: Policy, key: string): boolean {
  const isBelow = /^state\/dev\/.*\/(instances|deployments\/.*\/reports)\/.*$/.test(key);
  if (policy === 'wide') return isBelow;
  return isBelow && /\/(instances|reports)\/[^/]+$/.test(key) && key.endsWith(`/${EVIL_USER}.json`);
}

/** What the role does when its queue gets an announcement. */
export type Heard = (said: Announcement) => Promise<void> | void;

export interface Intruder {
  policy: Policy;
  heard: Heard;
  /** How many objects and messages it has written. */
  readonly written: number;
  /** @throws when the policy does not allow the key. */
  put(key: string, body: object | string): Promise<void>;
  /** Many objects at once, without a request for each. */
  putAll(keys: readonly string[], body: object): void;
  /** Sends to a reply queue; one that is gone is passed over. @throws for any other queue. */
  send(queue: string | undefined, body: object | string): Promise<void>;
  /** Many messages at once, without a request for each. */
  sendAll(queue: string | undefined, bodies: readonly string[]): void;
  /** Waits until it has dealt with an announcement for which `which` is true. */
  hasHeard(which: (said: Announcement) => boolean): Promise<void>;
  /** Deletes what it wrote to the bucket, and does nothing more. */
  undo(): void;
  close(): Promise<void>;
}

/**
 * The intruder hears announcements on its own queue, deletes them, and acts. Its lies come first: the queues of `honest`
 * get an announcement after it has acted on it.
 */
export async function openIntruder({ cloud, topicArn }: Fleet, honest: readonly string[]): Promise<Intruder> {
  const { sqs, sns, s3, close } = clientsOf(cloud, instanceKey(EVIL), 3);
  const wide = clientsOf(cloud, powerfulKey(EVIL), 3);
  const tags = { [USERID_TAG]: EVIL_USER };
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: QUEUE, tags }));
  const Endpoint = topicArn.replace(':sns:', ':sqs:').replace(TOPIC, QUEUE);
  const Condition = { ArnEquals: { 'aws:SourceArn': topicArn } };
  const Principal = { Service: 'sns.amazonaws.com' };
  const Statement = [
    { Effect: 'Allow', Principal, Action: 'sqs:SendMessage', Resource: Endpoint, Condition },
  ];
  const Attributes = { Policy: JSON.stringify({ Version: '2012-10-17', Statement }) };
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes }));
  await sns.send(
    new SubscribeCommand({
      ...{ TopicArn: topicArn, Protocol: 'sqs', Endpoint, Attributes: { RawMessageDelivery: 'true' } },
    }),
  );
  const theirs = honest.map((id) => agentQueueName(ENV, id));
  const hold = () => cloud.deliveries.hold(({ via, queue }) => via === 'sns' && theirs.includes(queue));
  const letThrough = () => {
    cloud.deliveries.release();
    hold();
  };
  hold();

  const gone = new AbortController();
  const keysPut = new Set<string>();
  const past: Announcement[] = [];
  const waiting = new Set<() => void>();
  let written = 0;

  const allow = (key: string) => {
    if (!mayPut(intruder.policy, key)) throw new Error(`AccessDenied: s3:PutObject on ${key}`);
    keysPut.add(key);
    written += 1;
  };
  const mayStillSend = (queue: string | undefined): queue is string => {
    if (queue !== undefined && !queue.startsWith(REPLIES)) throw new Error(`AccessDenied: send to ${queue}`);
    return queue !== undefined && cloud.queues().includes(queue);
  };
  const text = (body: object | string) => (typeof body === 'string' ? body : JSON.stringify(body));

  const intruder = {
    policy: 'own' as Policy,
    heard: (() => undefined) as Heard,
    get written() {
      return written;
    },
    async put(key: string, body: object | string) {
      allow(key);
      const by = intruder.policy === 'own' ? s3 : wide.s3;
      await by.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: text(body) }));
    },
    putAll(all: readonly string[], body: object) {
      for (const key of all) {
        allow(key);
        cloud.putObject(BUCKET, key, text(body));
      }
    },
    async send(queue: string | undefined, body: object | string) {
      if (!mayStillSend(queue)) return;
      const to = QueueUrl.slice(0, -QUEUE.length) + queue;
      const sending = sqs.send(new SendMessageCommand({ QueueUrl: to, MessageBody: text(body) }));
      // The publisher may have ended meanwhile.
      await sending.catch((error: unknown) => {
        if (cloud.queues().includes(queue)) throw error;
      });
      written += 1;
    },
    sendAll(queue: string | undefined, bodies: readonly string[]) {
      if (!mayStillSend(queue)) return;
      for (const body of bodies) cloud.sendRaw(queue, body, instanceKey(EVIL));
      written += bodies.length;
    },
    async hasHeard(which: (said: Announcement) => boolean) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const look = () => past.some(which) && resolve();
      waiting.add(look);
      look();
      await promise;
      waiting.delete(look);
    },
    undo() {
      intruder.heard = () => undefined;
      for (const key of keysPut) cloud.deleteObject(BUCKET, key);
      keysPut.clear();
    },
    async close() {
      gone.abort();
      await listening.catch((error: unknown) => {
        if (!gone.signal.aborted) throw error;
      });
      cloud.deliveries.straight();
      close();
      wide.close();
    },
  };

  async function listen(): Promise<void> {
    const options = { abortSignal: gone.signal };
    const command = new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 20, MaxNumberOfMessages: 1 });
    while (!gone.signal.aborted) {
      const { Messages = [] } = await sqs.send(command, options);
      for (const { Body = '', ReceiptHandle } of Messages) {
        await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }), options);
        const said = payloadOf(Body) as unknown as Announcement;
        try {
          await intruder.heard(said);
        } finally {
          letThrough();
        }
        past.push(said);
        for (const look of waiting) look();
      }
    }
  }
  const listening = listen();
  // Without it nothing is kept back any more, and the next test of what it wrote fails.
  listening.catch(() => cloud.deliveries.straight());
  return intruder;
}
