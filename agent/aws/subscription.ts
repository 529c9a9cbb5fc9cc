import {
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  paginateListSubscriptionsByTopic,
  SetSubscriptionAttributesCommand,
  SubscribeCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import type { Aws } from '../../shared/aws.ts';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import type { Finding } from '../deploy/ports.ts';
import { isNamed } from './aws-call.ts';

/**
 * The subscription of a queue to the topic. It has raw delivery: the queue gets the announcement without the envelope
 * of SNS. The methods throw errors of the SDK; queue.ts converts them.
 */
export interface Subscription {
  /**
   * Subscribes, or turns on raw delivery of the existing subscription. Returns whether announcements may have been lost
   * since the last `subscribe` or `ensure`: it is another subscription, or raw delivery was off.
   */
  subscribe(queueArn: string, signal: AbortSignal): Promise<boolean>;
  /** Subscribes, turns on raw delivery, and warns of a filter policy. @throws AWS_DENIED if it is not confirmed. */
  ensure(queueArn: string, signal: AbortSignal): Promise<void>;
  /** Unsubscribes. Does nothing if the topic is deleted: its subscriptions are then deleted, too. */
  remove(queueArn: string, signal: AbortSignal): Promise<void>;
  /** @throws if the topic does not exist or cannot be read. */
  assertTopic(signal: AbortSignal): Promise<void>;
  /** What keeps announcements from the queue, or changes them. Changes nothing. */
  inspect(queueArn: string, signal: AbortSignal): Promise<Finding[]>;
}

const RAW = { name: 'RawMessageDelivery', value: 'true' } as const;
const SAME_ACCOUNT = 'topic and queue must be in the same account';
/** `ensure` runs at the start of the agent. */
export const RESTART = 'restart the agent: it corrects this when it starts';

export function createSubscription({ aws, topic, log }: { aws: Aws; topic: string; log: Log }): Subscription {
  /** The ARN of the subscription. SNS gives another one to each new subscription. */
  let known: string | undefined;

  async function setRaw(SubscriptionArn: string, abortSignal: AbortSignal): Promise<void> {
    const command = { SubscriptionArn, AttributeName: RAW.name, AttributeValue: RAW.value };
    await aws.sns.send(new SetSubscriptionAttributesCommand(command), { abortSignal });
    log.warn({ subscription: SubscriptionArn }, 'raw message delivery was off; turned on');
  }

  /** Lists the subscriptions of the topic, 100 per page, until it finds the one of the queue. Returns its ARN. */
  async function find(queueArn: string, abortSignal: AbortSignal): Promise<string | undefined> {
    for await (const page of paginateListSubscriptionsByTopic(
      { client: aws.sns },
      { TopicArn: topic },
      { abortSignal },
    )) {
      const found = page.Subscriptions?.find(({ Endpoint }) => Endpoint === queueArn);
      if (found) return found.SubscriptionArn;
    }
    return undefined;
  }

  /**
   * If there is a subscription with the same attributes, SNS returns its ARN. If its attributes differ, SNS rejects
   * Subscribe and does not return the ARN: then the ARN is looked up.
   * https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
   */
  async function subscribed(
    queueArn: string,
    abortSignal: AbortSignal,
  ): Promise<{ SubscriptionArn: string; wasRaw: boolean }> {
    const command = new SubscribeCommand({
      TopicArn: topic,
      Protocol: 'sqs',
      Endpoint: queueArn,
      ReturnSubscriptionArn: true,
      Attributes: { [RAW.name]: RAW.value },
    });
    try {
      const { SubscriptionArn = '' } = await aws.sns.send(command, { abortSignal });
      return { SubscriptionArn, wasRaw: true };
    } catch (error) {
      if (!/already exists with different attributes/i.test(messageOf(error))) throw error;
      const existing = await find(queueArn, abortSignal);
      if (existing === undefined) throw error;
      await setRaw(existing, abortSignal);
      return { SubscriptionArn: existing, wasRaw: false };
    }
  }

  return {
    async subscribe(queueArn, abortSignal) {
      const { SubscriptionArn, wasRaw } = await subscribed(queueArn, abortSignal);
      const isSame = SubscriptionArn === known && wasRaw;
      known = SubscriptionArn;
      return !isSame;
    },

    async ensure(queueArn, abortSignal) {
      const { SubscriptionArn } = await subscribed(queueArn, abortSignal);
      known = SubscriptionArn;
      const command = new GetSubscriptionAttributesCommand({ SubscriptionArn });
      const { Attributes = {} } = await aws.sns.send(command, { abortSignal });
      if (Attributes[RAW.name] !== RAW.value) await setRaw(SubscriptionArn, abortSignal);
      if (Attributes.FilterPolicy) {
        log.warn(
          { subscription: SubscriptionArn, filter: Attributes.FilterPolicy },
          'a filter policy on the subscription may drop announcements',
        );
      }
      if (Attributes.PendingConfirmation === 'true') {
        throw new TriggerDeployError('AWS_DENIED', `the subscription ${SubscriptionArn} is not confirmed`, {
          hint: SAME_ACCOUNT,
        });
      }
    },

    async remove(queueArn, abortSignal) {
      try {
        // Subscribe returns the ARN. A list would have the subscriptions of all instances.
        const { SubscriptionArn } = await subscribed(queueArn, abortSignal);
        await aws.sns.send(new UnsubscribeCommand({ SubscriptionArn }), { abortSignal });
      } catch (error) {
        if (!isNamed(error, 'NotFoundException', 'NotFound')) throw error;
      }
    },

    async assertTopic(abortSignal) {
      await aws.sns.send(new GetTopicAttributesCommand({ TopicArn: topic }), { abortSignal });
    },

    async inspect(queueArn, abortSignal) {
      const found = await find(queueArn, abortSignal);
      if (found === undefined) {
        return [{ ok: false, what: `the queue is not subscribed to ${topic}`, hint: RESTART }];
      }
      // SNS gives no ARN to a subscription that is not confirmed.
      const isPending = !found.startsWith('arn:');
      const command = new GetSubscriptionAttributesCommand({ SubscriptionArn: found });
      const { Attributes = {} } = isPending ? {} : await aws.sns.send(command, { abortSignal });
      const findings: Finding[] = [];
      if (isPending || Attributes.PendingConfirmation === 'true') {
        findings.push({
          ok: false,
          what: `the subscription to ${topic} is not confirmed`,
          hint: SAME_ACCOUNT,
        });
      } else if (Attributes[RAW.name] !== RAW.value) {
        const what = `the subscription ${found} has no raw message delivery: the agent cannot read announcements`;
        findings.push({ ok: false, what, hint: RESTART });
      }
      if (Attributes.FilterPolicy) {
        const what = `the subscription ${found} has a filter policy, which may drop announcements`;
        findings.push({ ok: true, what, hint: 'remove the filter policy of the subscription' });
      }
      return findings.length > 0 ? findings : [{ ok: true, what: `the queue is subscribed to ${topic}` }];
    },
  };
}
