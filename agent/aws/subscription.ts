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
import { isNamed } from './aws-call.ts';

/**
 * A queue's subscription to the topic, with raw delivery: the queue gets the announcement without an envelope.
 * Errors are those of the SDK; queue.ts converts them.
 */
export interface Subscription {
  /** Subscribes; without effect on an existing subscription. Returns its ARN. */
  subscribe(queueArn: string, signal: AbortSignal): Promise<string>;
  /** Subscribes, then checks that announcements will arrive, with raw delivery. */
  ensure(queueArn: string, signal: AbortSignal): Promise<void>;
  /** Unsubscribes; the deletion of a topic deletes its subscriptions. */
  remove(queueArn: string, signal: AbortSignal): Promise<void>;
  /** Throws unless the topic exists and can be read. */
  assertTopic(signal: AbortSignal): Promise<void>;
}

const RAW = { name: 'RawMessageDelivery', value: 'true' } as const;

export function createSubscription({ aws, topic, log }: { aws: Aws; topic: string; log: Log }): Subscription {
  async function setRaw(SubscriptionArn: string, abortSignal: AbortSignal): Promise<void> {
    const command = { SubscriptionArn, AttributeName: RAW.name, AttributeValue: RAW.value };
    await aws.sns.send(new SetSubscriptionAttributesCommand(command), { abortSignal });
    log.warn({ subscription: SubscriptionArn }, 'raw message delivery was off; turned on');
  }

  /** Reads all subscriptions of the topic, 100 per page. Used only where SNS does not return the ARN. */
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
   * SNS answers an identical Subscribe with the ARN of the existing subscription, and rejects one with other attributes
   * without naming the subscription.
   * https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
   */
  async function subscribe(queueArn: string, abortSignal: AbortSignal): Promise<string> {
    const command = new SubscribeCommand({
      TopicArn: topic,
      Protocol: 'sqs',
      Endpoint: queueArn,
      ReturnSubscriptionArn: true,
      Attributes: { [RAW.name]: RAW.value },
    });
    try {
      const { SubscriptionArn = '' } = await aws.sns.send(command, { abortSignal });
      return SubscriptionArn;
    } catch (error) {
      if (!/already exists with different attributes/i.test(messageOf(error))) throw error;
      const existing = await find(queueArn, abortSignal);
      if (existing === undefined) throw error;
      await setRaw(existing, abortSignal);
      return existing;
    }
  }

  return {
    subscribe,

    async ensure(queueArn, abortSignal) {
      const SubscriptionArn = await subscribe(queueArn, abortSignal);
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
          hint: 'topic and queue must be in the same account',
        });
      }
    },

    async remove(queueArn, abortSignal) {
      try {
        // Subscribing again returns the ARN without listing the subscriptions of the whole fleet.
        const SubscriptionArn = await subscribe(queueArn, abortSignal);
        await aws.sns.send(new UnsubscribeCommand({ SubscriptionArn }), { abortSignal });
      } catch (error) {
        if (!isNamed(error, 'NotFoundException', 'NotFound')) throw error;
      }
    },

    async assertTopic(abortSignal) {
      await aws.sns.send(new GetTopicAttributesCommand({ TopicArn: topic }), { abortSignal });
    },
  };
}
