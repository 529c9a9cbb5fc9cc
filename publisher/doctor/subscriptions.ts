import { GetSubscriptionAttributesCommand, ListSubscriptionsByTopicCommand } from '@aws-sdk/client-sns';
import { awsError } from '../../shared/aws-errors.ts';
import { agentQueueName } from '../../shared/names.ts';
import { createPace } from '../cleanup/pace.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import { type DoctorFinding, named } from './finding.ts';

/** Whether announcements reach the queue of each instance, unchanged. Changes nothing. */

/** A page has 100 subscriptions: 1,000,000 in all, which no environment has. */
const MOST_PAGES = 10_000;
/** SNS API Reference: ListSubscriptionsByTopic and GetSubscriptionAttributes are limited per account and second. */
const LANES = 4;
/** Lists a second. Amazon SNS endpoints and quotas: 30 for an account and region, of which the agents take some. */
const LISTS = 10;
/** Of so many subscriptions the attributes are read: one call each. The agents correct their own every 10 min. */
const LOOKED_AT = 100;

interface Subscription {
  arn: string;
  queue: string;
}

/** @throws AWS_* ; AWS_DENIED without `sns:ListSubscriptionsByTopic`. */
export async function examineSubscriptions(
  session: Session,
  instances: readonly string[],
): Promise<DoctorFinding[]> {
  const { env } = session;
  const byQueue = new Map((await subscriptionsOf(session)).map((one) => [one.queue, one]));
  const found = instances.map((instance) => ({
    instance,
    subscription: byQueue.get(agentQueueName(env.name, instance)),
  }));
  const lost = found.filter(({ subscription }) => !subscription).map(({ instance }) => instance);
  const looked = found.flatMap(({ instance, subscription }) =>
    subscription ? [{ instance, arn: subscription.arn }] : [],
  );
  const mistakes = await mapLimit(looked.slice(0, LOOKED_AT), LANES, async ({ instance, arn }) =>
    mistakeOf(instance, arn, arn.startsWith('arn:') ? await attributesOf(session, arn) : undefined),
  );
  const wrong = [
    ...named(
      'subscription',
      lost,
      (instance) => ({
        what: `no subscription leads to the queue of ${instance}: it hears no announcement`,
        hint: `on ${instance}: systemctl restart trigger-deploy-agent subscribes it again`,
      }),
      (count) => ({ what: `${count} more instances have no subscription`, hint: 'restart their agents' }),
    ),
    ...mistakes.flat(),
  ];
  if (wrong.length > 0) return wrong;
  return [
    {
      id: 'subscription',
      state: 'ok',
      what: `${instances.length} of ${instances.length} instances are subscribed`,
    },
  ];
}

async function subscriptionsOf({ aws, clock, env, signal }: Session): Promise<Subscription[]> {
  const pace = createPace(clock, LISTS);
  const all: Subscription[] = [];
  let NextToken: string | undefined;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const command = new ListSubscriptionsByTopicCommand({ TopicArn: env.topic, NextToken });
    try {
      await pace(signal);
      const answer = await aws.sns.send(command, { abortSignal: signal });
      for (const { SubscriptionArn: arn = '', Endpoint = '' } of answer.Subscriptions ?? []) {
        all.push({ arn, queue: Endpoint.split(':').at(-1) ?? '' });
      }
      NextToken = answer.NextToken;
    } catch (error) {
      signal.throwIfAborted();
      throw awsError(error, `list the subscriptions of ${env.topic}`);
    }
    if (NextToken === undefined) break;
  }
  return all;
}

async function attributesOf({ aws, signal }: Session, SubscriptionArn: string) {
  try {
    const command = new GetSubscriptionAttributesCommand({ SubscriptionArn });
    const { Attributes = {} } = await aws.sns.send(command, { abortSignal: signal });
    return Attributes;
  } catch (error) {
    signal.throwIfAborted();
    throw awsError(error, `read the subscription ${SubscriptionArn}`);
  }
}

/** SNS gives no ARN to a subscription that is not confirmed; `attributes` are then undefined. */
function mistakeOf(
  instance: string,
  arn: string,
  attributes: Record<string, string> | undefined,
): DoctorFinding[] {
  const found: DoctorFinding[] = [];
  const about = (id: string) => ({ id, instance, state: 'wrong' as const });
  if (attributes === undefined || attributes.PendingConfirmation === 'true') {
    const what = `the subscription of ${instance} is not confirmed`;
    return [
      { ...about('subscription-confirmed'), what, hint: 'topic and queue must be in the same account' },
    ];
  }
  if (attributes.RawMessageDelivery !== 'true') {
    found.push({
      ...about('subscription-raw-delivery'),
      what: `the subscription of ${instance} has no raw message delivery: its agent cannot read announcements`,
      hint: `its agent corrects it within 10 min, or: aws sns set-subscription-attributes --subscription-arn ${arn} --attribute-name RawMessageDelivery --attribute-value true`,
    });
  }
  if (attributes.FilterPolicy) {
    found.push({
      ...about('subscription-filter'),
      what: `the subscription of ${instance} has a filter policy, which may drop announcements`,
      hint: `aws sns set-subscription-attributes --subscription-arn ${arn} --attribute-name FilterPolicy --attribute-value '{}'`,
    });
  }
  return found;
}
