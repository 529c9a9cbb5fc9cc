import { ListSubscriptionsByTopicCommand, PublishCommand } from '@aws-sdk/client-sns';
import { GetQueueAttributesCommand, GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { type AgentQueueOptions, createAgentQueue } from '../../../agent/aws/queue.ts';
import type { Aws } from '../../../shared/aws.ts';
import { silentLog } from '../../../shared/log.ts';
import type { CloudOptions } from '../cloud/cloud.ts';
import { userIdOf } from '../cloud/sqs.ts';
import { cloudAndAws } from './fixture.ts';

export const QUEUE = 'trigger-deploy-dev-i-0a';
/** The `aws:userid` of the instance. */
export const userId = async () => userIdOf('i-0a');

export async function queueAndCloud(
  options: CloudOptions = {},
  tags: Pick<AgentQueueOptions, 'services' | 'queueTags'> = {},
) {
  const { cloud, aws, hand } = await cloudAndAws(options);
  const topic = cloud.createTopic('trigger-deploy-dev');
  const recreationMs = options.queueRecreationMs ?? 60_000;
  /** The queue of an agent that starts again, with other tags in its config. */
  const again = (more: typeof tags) =>
    createAgentQueue({
      aws,
      env: 'dev',
      instance: 'i-0a',
      topic,
      log: silentLog(),
      userId,
      recreationMs,
      ...more,
    });
  const queue = again(tags);
  const publish = (Message: string, TopicArn = topic) =>
    hand.sns.send(new PublishCommand({ TopicArn, Message }));
  const asked = (from = 0) => cloud.requests.slice(from).map(({ operation }) => operation);
  return { cloud, aws, hand, topic, queue, again, publish, asked };
}

export const urlOf = async (aws: Aws) =>
  (await aws.sqs.send(new GetQueueUrlCommand({ QueueName: QUEUE }))).QueueUrl ?? '';

export async function attributesOf(aws: Aws): Promise<Record<string, string>> {
  const command = new GetQueueAttributesCommand({ QueueUrl: await urlOf(aws), AttributeNames: ['All'] });
  return (await aws.sqs.send(command)).Attributes ?? {};
}

export async function subscriptionsOf(aws: Aws, topic: string): Promise<string[]> {
  const { Subscriptions = [] } = await aws.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: topic }));
  return Subscriptions.map(({ SubscriptionArn = '' }) => SubscriptionArn);
}

/** The next command of that name is not sent; this is its answer. */
export function insteadOnce(
  client: Aws['sns'] | Aws['sqs'],
  command: string,
  answer: () => { $metadata: object },
  name = `instead of ${command}`,
): void {
  const stack = client.middlewareStack as Aws['sqs']['middlewareStack'];
  let done = false;
  stack.add(
    (next, context) => async (args) => {
      if (done || context.commandName !== command) return next(args);
      done = true;
      return { output: answer() as never, response: undefined };
    },
    { step: 'initialize', name },
  );
}
