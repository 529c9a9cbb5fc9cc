import {
  DeleteTopicCommand,
  ListSubscriptionsByTopicCommand,
  PublishCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteQueueCommand, GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { agentQueueName } from '../../../../shared/names.ts';
import { type Clients, clientsOf } from '../../../support/cloud/clients.ts';
import type { Cloud } from '../../../support/cloud/cloud.ts';
import { ENV } from '../../../support/fleet/fleet.ts';

/** What a user with too many rights, or a cleanup script, does to the queue and the topic of a running agent. */

async function asSomebody<T>(cloud: Cloud, work: (clients: Clients) => Promise<T>): Promise<T> {
  // More than one try: the cloud's clock may be an hour off, and the SDK learns it from a refusal.
  const clients = clientsOf(cloud, 'operator-intruder', 3);
  try {
    return await work(clients);
  } finally {
    clients.close();
  }
}

export const deleteQueue = (cloud: Cloud, QueueName: string) =>
  asSomebody(cloud, async ({ sqs }) => {
    const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName }));
    await sqs.send(new DeleteQueueCommand({ QueueUrl }));
  });

export const deleteQueueOf = (cloud: Cloud, instance: string) =>
  deleteQueue(cloud, agentQueueName(ENV, instance));

/** The queues that the topic has as subscribers. */
export const subscribersOf = (cloud: Cloud, TopicArn: string) =>
  asSomebody(cloud, async ({ sns }) => {
    const { Subscriptions = [] } = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }));
    return Subscriptions.map(({ Endpoint = '' }) => Endpoint.split(':').at(-1));
  });

export const deleteSubscriptionsOf = (cloud: Cloud, TopicArn: string) =>
  asSomebody(cloud, async ({ sns }) => {
    const { Subscriptions = [] } = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn }));
    for (const { SubscriptionArn } of Subscriptions) {
      await sns.send(new UnsubscribeCommand({ SubscriptionArn }));
    }
  });

export const deleteTopic = (cloud: Cloud, TopicArn: string) =>
  asSomebody(cloud, ({ sns }) => sns.send(new DeleteTopicCommand({ TopicArn })));

export const publish = (cloud: Cloud, TopicArn: string, Message: string) =>
  asSomebody(cloud, ({ sns }) => sns.send(new PublishCommand({ TopicArn, Message })));

/** Side by side, as quickly as the topic takes them. */
export const publishAll = (cloud: Cloud, TopicArn: string, messages: readonly string[]) =>
  asSomebody(cloud, async ({ sns }) => {
    await Promise.all(messages.map((Message) => sns.send(new PublishCommand({ TopicArn, Message }))));
  });

export const createQueue = (cloud: Cloud, QueueName: string) =>
  asSomebody(cloud, ({ sqs }) => sqs.send(new CreateQueueCommand({ QueueName })));
