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
 * A queue's subscription to the topic, raw: a queue gets the announcement itself and not an envelope.
 * Everything here throws what the SDK throws; the queue around it puts it in our words.
 */
export interface Subscription {
  /** Makes it, or does nothing where it stands; returns its ARN. */
  subscribe(queueArn: string, signal: AbortSignal): Promise<string>;
  /** Subscribes, then looks whether announcements will really come, and raw. */
  ensure(queueArn: string, signal: AbortSignal): Promise<void>;
  /** Takes it away; a topic that is gone took it along. */
  remove(queueArn: string, signal: AbortSignal): Promise<void>;
  /** Throws unless the topic exists and may be seen. */
  lookAtTopic(signal: AbortSignal): Promise<void>;
}

const RAW = { name: 'RawMessageDelivery', value: 'true' } as const;

export function createSubscription({ aws, topic, log }: { aws: Aws; topic: string; log: Log }): Subscription {
  async function setRaw(SubscriptionArn: string, abortSignal: AbortSignal): Promise<void> {
    const command = { SubscriptionArn, AttributeName: RAW.name, AttributeValue: RAW.value };
    await aws.sns.send(new SetSubscriptionAttributesCommand(command), { abortSignal });
    log.warn({ subscription: SubscriptionArn }, 'raw message delivery was off; turned on');
  }

  /** Reads the topic's whole list, 100 a page: only for when SNS does not simply tell. */
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
   * SNS answers the identical Subscribe with the ARN of the subscription that stands, and refuses one with other
   * attributes without saying which subscription that is.
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
      const standing = await find(queueArn, abortSignal);
      if (standing === undefined) throw error;
      await setRaw(standing, abortSignal);
      return standing;
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
          'a filter policy on the subscription may hide announcements',
        );
      }
      if (Attributes.PendingConfirmation === 'true') {
        throw new TriggerDeployError('AWS_DENIED', `SNS waits for someone to confirm ${SubscriptionArn}`, {
          hint: 'the topic and the queue have to be in the same account',
        });
      }
    },

    async remove(queueArn, abortSignal) {
      try {
        // Subscribing again is the way to the ARN that does not list the subscriptions of a whole fleet.
        const SubscriptionArn = await subscribe(queueArn, abortSignal);
        await aws.sns.send(new UnsubscribeCommand({ SubscriptionArn }), { abortSignal });
      } catch (error) {
        if (!isNamed(error, 'NotFoundException', 'NotFound')) throw error;
      }
    },

    async lookAtTopic(abortSignal) {
      await aws.sns.send(new GetTopicAttributesCommand({ TopicArn: topic }), { abortSignal });
    },
  };
}
