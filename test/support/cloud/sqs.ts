import type { AsyncLocalStorage } from 'node:async_hooks';
import { SqsStore } from '../../../node_modules/fauxqs/dist/sqs/sqsStore.js';
import type { Deliveries } from './deliveries.ts';
import { CloudError } from './errors.ts';
import { policyAllowsTopic } from './policy.ts';
import type { Call } from './requests.ts';

type Queue = ReturnType<SqsStore['createQueue']>;
type Message = Parameters<Queue['enqueue']>[0];

/** Who AWS says has sent a message that came by a topic: a user of SNS's own account. */
export const SNS_SENDER_ID = 'AIDAEMBEDDEDCLOUDSNS';

/** The access key of an EC2 instance's role session; EC2 names the session after the instance. */
export function instanceKey(instance: string): string {
  return `session-${instance}`;
}

/** The access key of an instance's session whose role has other policies than the printed one: it may do anything. */
export const powerfulKey = (instance: string) => `operator-session-${instance}`;

/** The access key of a session of another role with the policy of the instances' role, as one that was made anew. */
export const sessionKey = (role: string, session: string): string => `${role}-session-${session}`;

/** The `aws:userid` of the instance. */
export const userIdOf = (instance: string): string => senderId(instanceKey(instance));

/** IAM User Guide, "IAM identifiers": a role session is `AROA…:SESSION`, a user is `AIDA…`. */
export function senderId(accessKeyId: string): string {
  const [, role = 'AROAEMBEDDEDCLOUD', session] =
    /^(?:(AROA[A-Z0-9]+)-|operator-)?session-([^~]+)/.exec(accessKeyId) ?? [];
  const user = accessKeyId.toUpperCase().replace(/[^A-Z0-9]/g, '');
  return session === undefined ? `AIDA${user}` : `${role}:${session}`;
}

/** fauxqs' queues with the rules of SQS that it leaves out. It learns who is asking from the current call. */
export class StrictSqsStore extends SqsStore {
  readonly #calls: AsyncLocalStorage<Call>;
  readonly #deliveries: Deliveries;
  readonly #recreationMs: number;
  readonly #deadPollsReceive: boolean;
  readonly #deletedAt = new Map<string, number>();
  readonly #senders = new WeakMap<Message, string>();

  constructor(
    calls: AsyncLocalStorage<Call>,
    deliveries: Deliveries,
    { queueRecreationMs, deadPollsReceive }: { queueRecreationMs: number; deadPollsReceive: boolean },
  ) {
    super();
    this.#calls = calls;
    this.#deliveries = deliveries;
    this.#recreationMs = queueRecreationMs;
    this.#deadPollsReceive = deadPollsReceive;
    // Without a host, fauxqs builds queue URLs from the Host header: the address that the client really used.
    this.host = '';
  }

  override createQueue(...args: Parameters<SqsStore['createQueue']>): Queue {
    const [name] = args;
    // SQS API Reference, CreateQueue. FIFO queues (`.fifo`) are not ours and are refused with the rest.
    if (!/^[\w-]{1,80}$/.test(name)) {
      throw invalidParameter(
        'Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length',
      );
    }
    const deletedAt = this.#deletedAt.get(name);
    if (deletedAt !== undefined && performance.now() - deletedAt < this.#recreationMs) {
      throw new CloudError(
        400,
        'QueueDeletedRecently',
        'You must wait 60 seconds after deleting a queue before you can create another with the same name.',
      );
    }
    return this.#makeStrict(super.createQueue(...args));
  }

  override deleteQueue(url: string): boolean {
    const name = this.getQueue(url)?.name;
    if (name !== undefined) this.#deletedAt.set(name, performance.now());
    return super.deleteQueue(url);
  }

  queueNames(): string[] {
    return this.listQueues().queues.map((queue) => queue.name);
  }

  /** What fauxqs' own actions let pass. To be called before one of them runs. */
  check(operation: string, body: unknown): void {
    if (operation !== 'CreateQueue' && operation !== 'SetQueueAttributes') return;
    const { QueueName, Attributes = {} } = body as {
      QueueName?: string;
      Attributes?: Record<string, string>;
    };
    if (Attributes.Policy && !isJsonObject(Attributes.Policy)) {
      throw new CloudError(400, 'InvalidAttributeValue', 'Invalid value for the parameter Policy.');
    }
    if (operation !== 'CreateQueue' || QueueName === undefined) return;
    const existing = this.getQueueByName(QueueName)?.getAllAttributes(['All']);
    // fauxqs merges attributes that the existing queue lacks; for SQS they are different values like any other.
    const different = Object.keys(Attributes).find((name) => existing && existing[name] !== Attributes[name]);
    if (different === undefined) return;
    throw new CloudError(
      400,
      'QueueNameExists',
      `A queue already exists with the same name and a different value for attribute ${different}`,
    );
  }

  /** Corrects a ReceiveMessage answer in place: fauxqs names its account as the sender of everything. */
  nameSenders(queueName: string, messages: readonly ReceivedMessage[]): void {
    const inflight = this.getQueueByName(queueName)?.inflightMessages;
    for (const { Attributes, ReceiptHandle } of messages) {
      const message = inflight?.get(ReceiptHandle)?.message;
      if (Attributes?.SenderId && message) Attributes.SenderId = this.#senders.get(message) ?? SNS_SENDER_ID;
    }
  }

  /** Makes messages visible again at once, for an answer that reached no client. */
  giveBack(queueName: string, messages: readonly ReceivedMessage[]): void {
    if (this.#deadPollsReceive) return;
    const queue = this.getQueueByName(queueName);
    for (const { ReceiptHandle } of messages) {
      if (queue?.inflightMessages.has(ReceiptHandle)) queue.changeVisibility(ReceiptHandle, 0);
    }
  }

  #makeStrict(queue: Queue): Queue {
    const enqueue = queue.enqueue.bind(queue);
    queue.enqueue = (message) => {
      const { topic, accessKeyId = 'unknown' } = this.#calls.getStore()?.record ?? {};
      if (topic !== undefined && !policyAllowsTopic(queue.attributes.Policy, queue.arn, topic)) return;
      const sender = topic === undefined ? senderId(accessKeyId) : SNS_SENDER_ID;
      const via = topic === undefined ? 'sqs' : 'sns';
      this.#deliveries.accept({ via, queue: queue.name, body: message.body }, () => {
        // Each delivery is an object of its own: a duplicate counts its receives alone.
        const delivered = { ...message };
        this.#senders.set(delivered, sender);
        enqueue(delivered);
      });
    };

    // A poll whose client has gone takes nothing: the message goes to the next poll instead of being invisible
    // for the visibility timeout. AWS promises less: see `deadPollsReceive`.
    if (this.#deadPollsReceive) return queue;
    const dequeue = queue.dequeue.bind(queue);
    queue.dequeue = (...args) => (this.#calls.getStore()?.gone.aborted ? [] : dequeue(...args));

    const waitForMessages = queue.waitForMessages.bind(queue);
    queue.waitForMessages = async (seconds) => {
      const gone = this.#calls.getStore()?.gone;
      const waiting = waitForMessages(seconds);
      const waiter = queue.pollWaiters.at(-1);
      const leave = (): void => {
        if (waiter === undefined || !queue.pollWaiters.includes(waiter)) return;
        clearTimeout(waiter.timer);
        queue.pollWaiters.splice(queue.pollWaiters.indexOf(waiter), 1);
        waiter.resolve();
      };
      gone?.addEventListener('abort', leave, { once: true });
      await waiting;
      gone?.removeEventListener('abort', leave);
    };
    return queue;
  }
}

/** The part of a ReceiveMessage answer that is looked at here. */
export interface ReceivedMessage {
  readonly ReceiptHandle: string;
  readonly Attributes?: Record<string, string>;
}

function invalidParameter(message: string): CloudError {
  return new CloudError(400, 'InvalidParameterValue', message);
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}
