import { SetSubscriptionAttributesCommand, UnsubscribeCommand } from '@aws-sdk/client-sns';
import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueueTagsCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import type { Aws } from '../../shared/aws.ts';
import { awsError } from '../../shared/aws-errors.ts';
import { agentQueueName, replyQueueName, ulidOf } from '../../shared/names.ts';
import { isPermitted } from '../../shared/permission-probe.ts';
import { ownTags, type QueueTags } from '../../shared/queue-tags.ts';
import type { Finding } from '../deploy/ports.ts';
import { isNoSuchQueue } from './aws-call.ts';
import { queueAttributes } from './queue-attributes.ts';
import { RESTART } from './subscription.ts';

/** How the queue of this instance is, beyond that announcements reach it, and which calls its role is denied. */

export interface ProbedQueue {
  env: string;
  instance: string;
  topic: string;
  /** The `aws:userid` of this instance. */
  userId: string;
  services: readonly string[];
  queueTags: QueueTags;
}

type Attributes = Record<string, string>;

/** As many messages wait at most while an agent works: each deployment sends a handful. */
const MANY_WAIT = 20;
const UNUSED = 'trigger-deploy-check';

/**
 * Changes nothing: what is tried names a message, a queue or a subscription that does not exist. A missing queue has no
 * findings. `sqs:ReceiveMessage` is not tried, because it would hide a message from the agent; nor are `sqs:DeleteQueue`,
 * `sqs:SetQueueAttributes`, `sqs:TagQueue` and `sns:Subscribe`, which would have an effect.
 * @throws TriggerDeployError of a failed read; the reason of `signal`.
 */
export async function probeOwnQueue(aws: Aws, about: ProbedQueue, signal: AbortSignal): Promise<Finding[]> {
  const name = agentQueueName(about.env, about.instance);
  try {
    const { QueueUrl = '' } = await aws.sqs.send(new GetQueueUrlCommand({ QueueName: name }), {
      abortSignal: signal,
    });
    const read = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] });
    const { Attributes: is = {} } = await aws.sqs.send(read, { abortSignal: signal });
    return [
      ...settings(name, is, about.topic),
      waiting(name, is),
      await tags(aws, { ...about, name, QueueUrl }, signal),
      ...(await missing(aws, { ...about, QueueUrl }, signal)),
    ];
  } catch (error) {
    signal.throwIfAborted();
    if (isNoSuchQueue(error)) return [];
    throw awsError(error, `read the queue ${name}`);
  }
}

/** The agent sets all of them when it starts. The policy has a finding of its own. */
function settings(name: string, is: Attributes, topic: string): Finding[] {
  const { Policy, SqsManagedSseEnabled, ...others } = queueAttributes(is.QueueArn ?? '', topic);
  const different = Object.keys(others).filter((attribute) => is[attribute] !== others[attribute]);
  const encrypted = is.SqsManagedSseEnabled === SqsManagedSseEnabled;
  const key = is.KmsMasterKeyId;
  const how = key
    ? `is encrypted with the KMS key ${key}, which SNS may not use: announcements may not reach it`
    : 'is not encrypted at rest';
  return [
    encrypted
      ? { id: 'queue-encryption', ok: true, what: `the queue ${name} is encrypted by SQS` }
      : { id: 'queue-encryption', ok: false, what: `the queue ${name} ${how}`, hint: RESTART },
    ...different.map((attribute) => ({
      ...{ id: 'queue-attributes', ok: false, hint: RESTART },
      what: `${attribute} of the queue ${name} is ${is[attribute] ?? 'not set'}, not ${others[attribute]}`,
    })),
  ];
}

/** SQS tells how many there are; the age of the oldest is only a metric of CloudWatch, ApproximateAgeOfOldestMessage. */
function waiting(name: string, is: Attributes): Finding {
  const count = Number(is.ApproximateNumberOfMessages ?? 0);
  const inFlight = Number(is.ApproximateNumberOfMessagesNotVisible ?? 0);
  const what = `${count} messages wait in the queue ${name}, ${inFlight} are being read`;
  if (count < MANY_WAIT) return { id: 'queue-waiting', ok: true, what };
  const hint =
    'see whether the agent runs and reads: trigger-deploy-agent status; CloudWatch has the age of the oldest: ApproximateAgeOfOldestMessage';
  return { id: 'queue-waiting', ok: true, what, hint };
}

/** A warning at most: an agent works without them, where the policy of its role does not ask for them. */
async function tags(
  aws: Aws,
  { name, QueueUrl, queueTags, ...of }: ProbedQueue & { name: string; QueueUrl: string },
  abortSignal: AbortSignal,
): Promise<Finding> {
  const id = 'queue-tags';
  const wanted = { ...queueTags, ...ownTags(of) };
  try {
    const { Tags: is = {} } = await aws.sqs.send(new ListQueueTagsCommand({ QueueUrl }), { abortSignal });
    const lost = Object.keys(wanted).filter((key) => is[key] !== wanted[key]);
    if (lost.length === 0) return { id, ok: true, what: `the queue ${name} has its tags` };
    const what = `the queue ${name} has no tag ${lost.join(', ')}, or another value there`;
    return { id, ok: true, what, hint: `${RESTART}, where its role may call sqs:TagQueue with these tags` };
  } catch (error) {
    abortSignal.throwIfAborted();
    const failure = awsError(error, `read the tags of the queue ${name}`);
    if (failure.code !== 'AWS_DENIED') throw failure;
    // The policies of earlier versions do not have it, and only this command asks.
    const what = `the tags of the queue ${name} were not read: the role may not call sqs:ListQueueTags`;
    return { id, ok: true, what };
  }
}

/** The calls that the agent needs and that its role is denied, each by its name. */
async function missing(
  aws: Aws,
  { QueueUrl, topic, env }: ProbedQueue & { QueueUrl: string },
  abortSignal: AbortSignal,
): Promise<Finding[]> {
  // No subscription and no reply queue has these names.
  const SubscriptionArn = `${topic}:00000000-0000-0000-0000-000000000000`;
  const raw = { AttributeName: 'RawMessageDelivery', AttributeValue: 'true' };
  const reply = QueueUrl.replace(/[^/]+$/, replyQueueName(env, ulidOf(0)));
  const calls: [string, string, () => Promise<unknown>][] = [
    [
      'sqs:DeleteMessage',
      'its own queue',
      () =>
        aws.sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: UNUSED }), {
          abortSignal,
        }),
    ],
    [
      'sqs:SendMessage',
      'the reply queues of publishers',
      () => aws.sqs.send(new SendMessageCommand({ QueueUrl: reply, MessageBody: UNUSED }), { abortSignal }),
    ],
    [
      'sns:SetSubscriptionAttributes',
      topic,
      () =>
        aws.sns.send(new SetSubscriptionAttributesCommand({ SubscriptionArn, ...raw }), {
          abortSignal,
        }),
    ],
    [
      'sns:Unsubscribe',
      topic,
      () => aws.sns.send(new UnsubscribeCommand({ SubscriptionArn }), { abortSignal }),
    ],
  ];
  const denied: Finding[] = [];
  for (const [action, where, call] of calls) {
    if (!(await isDenied(call, abortSignal))) continue;
    const hint = `trigger-deploy init --env ${env} --print iam prints the policy of an agent`;
    denied.push({
      id: 'permission-missing',
      ok: false,
      what: `the role may not call ${action} on ${where}`,
      hint,
    });
  }
  if (denied.length > 0) return denied;
  return [{ id: 'permission-missing', ok: true, what: 'the role may keep its queue and answer publishers' }];
}

/** Any other answer than a denial comes after the permission. @throws AWS_UNREACHABLE; the reason of `signal`. */
async function isDenied(call: () => Promise<unknown>, signal: AbortSignal): Promise<boolean> {
  const attempt = () =>
    call().catch((error: unknown) => {
      if (!isNoSuchQueue(error)) throw error;
    });
  return !(await isPermitted('try the permissions of the role', attempt, signal));
}
