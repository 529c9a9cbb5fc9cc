import { isDeepStrictEqual } from 'node:util';
import {
  DeleteMessageCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import type { Aws } from '../../shared/aws.ts';
import { awsError } from '../../shared/aws-errors.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { agentQueueName } from '../../shared/names.ts';
import type { QueueTags } from '../../shared/queue-tags.ts';
import { retry } from '../../shared/retry.ts';
import type { Finding } from '../deploy/ports.ts';
import { awsCall, finding, findings, isNamed, isNoSuchQueue } from './aws-call.ts';
import { queueAttributes } from './queue-attributes.ts';
import { createSubscription, RESTART } from './subscription.ts';
import { createTaggedQueue } from './tagged-queue.ts';

interface QueueMessage {
  body: string;
  receiptHandle: string;
  /** How often SQS has delivered the message, from 1; approximate. */
  receiveCount: number;
  /** When the message was sent, by the clock of AWS, ms since the epoch. */
  sentAt: number;
}

/** This instance's own queue, and its subscription to the environment's topic. */
export interface AgentQueue {
  /**
   * Creates the queue and the subscription if they are missing, and corrects their attributes. Idempotent. After a
   * deletion within the last minute it waits until the name is free.
   * @throws TOPIC_NOT_FOUND, AWS_*.
   */
  ensure(signal: AbortSignal): Promise<void>;
  /**
   * Returns at most 10 messages, within 20 s. A message is invisible for 30 s; then SQS delivers it again unless it was
   * deleted. @throws AWS_*; if `isQueueGone(error)`, `ensure` has to create the queue again.
   */
  receive(signal: AbortSignal): Promise<QueueMessage[]>;
  /** To be called only after the journal is written: a deleted message is never delivered again. */
  delete(message: Pick<QueueMessage, 'receiptHandle'>, signal: AbortSignal): Promise<void>;
  /**
   * Subscribes again. This restores a lost subscription, and has no effect on a correct one. Returns whether
   * announcements may have been lost.
   */
  resubscribe(signal: AbortSignal): Promise<boolean>;
  /** Deletes the subscription, and the queue with its messages; either may be gone already. */
  leave(signal: AbortSignal): Promise<void>;
  /**
   * Checks that the topic and the queue can be read, and that announcements reach the queue unchanged. A missing queue
   * is not a problem. Changes nothing.
   */
  probe(signal: AbortSignal): Promise<Finding[]>;
}

export interface AgentQueueOptions {
  aws: Aws;
  env: string;
  instance: string;
  /** The topic's ARN. */
  topic: string;
  /** For the tags of the queue. */
  services?: readonly string[];
  queueTags?: QueueTags;
  log: Log;
  /** The `aws:userid` of this instance. */
  userId: (signal: AbortSignal) => Promise<string>;
  /** How long AWS blocks the name of a deleted queue, ms. */
  recreationMs?: number;
}

/** SQS API Reference, CreateQueue: "you must wait 60 seconds" after deleting a queue of that name. */
const RECREATION_MS = 60_000;
/**
 * SQS API Reference: a new queue is usable after a second (CreateQueue); a deleted queue may still answer for a minute
 * (DeleteQueue). Until then, the answers of SQS may contradict each other, so the whole set-up is retried.
 */
const SET_UP = { attempts: 6, first: 1000, longest: 10_000 };

/** Whether `error` says that the queue does not exist, so that `ensure` has to create it. */
export function isQueueGone(error: unknown): boolean {
  return isCode(error) && isNoSuchQueue(error);
}

/** Whether SQS refuses to create the queue because one of this name was deleted a short time ago. */
function isNameTaken(error: unknown): boolean {
  return isNamed(error, 'QueueDeletedRecently', 'AWS.SimpleQueueService.QueueDeletedRecently');
}

/** SQS may return the text of a policy with other white space. */
function isSameJson(one: string | undefined, other: string | undefined): boolean {
  return isDeepStrictEqual(JSON.parse(one || 'null'), JSON.parse(other || 'null'));
}

export function createAgentQueue(options: AgentQueueOptions): AgentQueue {
  const { aws, env, instance, topic, log, recreationMs = RECREATION_MS } = options;
  const name = agentQueueName(env, instance);
  const subscribing = `subscribe the queue ${name} to ${topic}`;
  const subscription = createSubscription({ aws, topic, log });
  const tagged = createTaggedQueue({ services: [], queueTags: {}, ...options, name });
  let knownUrl: string | undefined;
  let knownArn: string | undefined;

  const forget = () => {
    knownUrl = undefined;
    knownArn = undefined;
  };

  async function findUrl(abortSignal: AbortSignal): Promise<string | undefined> {
    try {
      const { QueueUrl } = await aws.sqs.send(new GetQueueUrlCommand({ QueueName: name }), { abortSignal });
      return QueueUrl;
    } catch (error) {
      if (isNoSuchQueue(error)) return undefined;
      throw error;
    }
  }

  async function urlOf(abortSignal: AbortSignal): Promise<string> {
    if (knownUrl === undefined) {
      const { QueueUrl } = await aws.sqs.send(new GetQueueUrlCommand({ QueueName: name }), { abortSignal });
      knownUrl = QueueUrl ?? '';
    }
    return knownUrl;
  }

  async function readAttributes(abortSignal: AbortSignal): Promise<Record<string, string>> {
    const command = new GetQueueAttributesCommand({
      QueueUrl: await urlOf(abortSignal),
      AttributeNames: ['All'],
    });
    const { Attributes = {} } = await aws.sqs.send(command, { abortSignal });
    knownArn = Attributes.QueueArn;
    return Attributes;
  }

  async function arnOf(signal: AbortSignal): Promise<string> {
    if (knownArn === undefined) await readAttributes(signal);
    return knownArn ?? '';
  }

  /**
   * Creates the queue if it is missing, then corrects its attributes. CreateQueue gets no attributes: it would fail if
   * they differed from those of an existing queue.
   */
  async function setUpQueue(abortSignal: AbortSignal): Promise<void> {
    knownUrl = await findUrl(abortSignal);
    if (knownUrl === undefined) {
      knownUrl = await tagged.create(abortSignal);
      log.info({ queue: name }, 'queue created');
    } else await tagged.tag(knownUrl, abortSignal);
    const is = await readAttributes(abortSignal);
    const wanted = queueAttributes(await arnOf(abortSignal), topic);
    if (Object.entries(wanted).every(([attribute, value]) => is[attribute] === value)) return;
    await aws.sqs.send(
      new SetQueueAttributesCommand({ QueueUrl: await urlOf(abortSignal), Attributes: wanted }),
      { abortSignal },
    );
  }

  async function ensure(signal: AbortSignal): Promise<void> {
    await retry(
      async () => {
        forget();
        await awsCall(`set up the queue ${name}`, signal, () => setUpQueue(signal));
        await awsCall(subscribing, signal, async () => subscription.ensure(await arnOf(signal), signal));
      },
      {
        ...SET_UP,
        signal,
        retryable: (error) => isNameTaken(error) || isQueueGone(error),
        pauseMs: (error) => (isNameTaken(error) ? recreationMs : undefined),
        onRetry: (error, { pauseMs }) =>
          log.info(
            { queue: name, waitMs: pauseMs, why: messageOf(error) },
            'the queue cannot be used yet; retrying',
          ),
      },
    );
  }

  async function receive(signal: AbortSignal): Promise<QueueMessage[]> {
    try {
      return await awsCall(`receive from the queue ${name}`, signal, async () => {
        const command = new ReceiveMessageCommand({
          QueueUrl: await urlOf(signal),
          MaxNumberOfMessages: 10,
          WaitTimeSeconds: 20,
          MessageSystemAttributeNames: ['ApproximateReceiveCount', 'SentTimestamp'],
        });
        const { Messages = [] } = await aws.sqs.send(command, { abortSignal: signal });
        return Messages.map(({ Body = '', ReceiptHandle = '', Attributes = {} }) => ({
          body: Body,
          receiptHandle: ReceiptHandle,
          receiveCount: Number(Attributes.ApproximateReceiveCount ?? 1),
          sentAt: Number(Attributes.SentTimestamp ?? aws.now()),
        }));
      });
    } catch (error) {
      const failure = (isCode(error, 'AWS_DENIED') && (await absence(signal))) || error;
      if (isQueueGone(failure)) forget();
      throw failure;
    }
  }

  /**
   * The error that says that the queue does not exist; undefined if it exists or cannot be looked for. A policy that asks
   * for the queue's tag denies a queue that is gone: it has no tag.
   */
  async function absence(signal: AbortSignal): Promise<unknown> {
    forget();
    const looked = await awsCall(`find the queue ${name}`, signal, () => urlOf(signal)).catch(
      (error: unknown) => error,
    );
    return isQueueGone(looked) ? looked : undefined;
  }

  async function inspect(signal: AbortSignal): Promise<Finding[]> {
    knownUrl = await findUrl(signal);
    if (knownUrl === undefined) {
      return [{ ok: true, what: `the queue ${name} does not exist; the agent creates it when it starts` }];
    }
    const found: Finding[] = [{ ok: true, what: `the queue ${name} exists` }];
    const { QueueArn = '', Policy } = await readAttributes(signal);
    if (!isSameJson(Policy, queueAttributes(QueueArn, topic).Policy)) {
      const what = `the policy of the queue ${name} is not the agent's: announcements of ${topic} may not reach it`;
      found.push({ id: 'queue-policy', ok: false, what, hint: RESTART });
    }
    const reading = `read the subscription of the queue ${name}`;
    return [...found, ...(await findings(reading, signal, () => subscription.inspect(QueueArn, signal)))];
  }

  async function leave(signal: AbortSignal): Promise<void> {
    await awsCall(`delete the queue ${name}`, signal, async () => {
      knownUrl = await findUrl(signal);
      if (knownUrl === undefined) return;
      const failures: unknown[] = [];
      // Delete the queue even if the subscription cannot be deleted: only this command deletes them.
      await subscription.remove(await arnOf(signal), signal).catch((error) => failures.push(error));
      await aws.sqs.send(new DeleteQueueCommand({ QueueUrl: knownUrl }), { abortSignal: signal });
      if (failures.length > 0) throw awsError(failures[0], `unsubscribe the queue ${name} from ${topic}`);
    });
    forget();
  }

  return {
    ensure,
    receive,
    async delete({ receiptHandle }, signal) {
      await awsCall(`delete a message from the queue ${name}`, signal, async () => {
        const command = { QueueUrl: await urlOf(signal), ReceiptHandle: receiptHandle };
        await aws.sqs.send(new DeleteMessageCommand(command), { abortSignal: signal });
      });
    },
    async resubscribe(signal) {
      return await awsCall(subscribing, signal, async () =>
        subscription.subscribe(await arnOf(signal), signal),
      );
    },
    leave,
    async probe(signal) {
      return [
        await finding(`read the topic ${topic}`, signal, async () => {
          await subscription.assertTopic(signal);
          return `the topic ${topic} exists`;
        }),
        ...(await findings(`read the queue ${name}`, signal, () => inspect(signal))),
      ];
    },
  };
}
