import { agentQueueName, arns, keys, replyQueueName, USERID_TAG } from '../../shared/names.ts';
import { allow, bucketKey, OWN_USERID, objects, type PolicyPlace, type Statement } from './statements.ts';

/**
 * What the role of the instances may do. All instances of an environment have the same role; what belongs to one of them
 * is bound to its userid. Pure.
 */
export function agentStatements(place: PolicyPlace): Statement[] {
  const { env, features = {} } = place;
  const { instances = ['i-*'], targetGroups = [], autoScalingGroups = [] } = features;
  const ownQueues = instances.map((instance) => arns.queue(place, agentQueueName(env, instance)));
  const replyQueues = [arns.queue(place, replyQueueName(env, '*'))];
  const topic = [arns.topic(place, env)];
  const isOwn = { [`aws:ResourceTag/${USERID_TAG}`]: OWN_USERID };
  return [
    allow('FindQueue', ['sqs:GetQueueUrl'], [...ownQueues, ...replyQueues]),
    // A queue that exists without tags is one of an agent of version 0.1, which takes it over.
    allow('MakeOwnQueue', ['sqs:CreateQueue', 'sqs:TagQueue'], ownQueues, {
      StringEquals: { [`aws:RequestTag/${USERID_TAG}`]: OWN_USERID },
      StringEqualsIfExists: isOwn,
    }),
    allow(
      'UseOwnQueue',
      [
        'sqs:GetQueueAttributes',
        'sqs:ListQueueTags',
        'sqs:SetQueueAttributes',
        'sqs:ReceiveMessage',
        'sqs:DeleteMessage',
        'sqs:DeleteQueue',
      ],
      ownQueues,
      { StringEquals: isOwn },
    ),
    allow('ReplyToPublishers', ['sqs:SendMessage'], replyQueues),
    allow('SubscribeQueue', ['sns:Subscribe'], topic, {
      StringEquals: { 'sns:Protocol': 'sqs' },
      StringLike: { 'sns:Endpoint': ownQueues },
    }),
    // SNS authorizes what is done to a subscription against its topic: IAM cannot tell the subscriptions apart.
    allow(
      'KeepSubscription',
      [
        'sns:GetTopicAttributes',
        'sns:ListSubscriptionsByTopic',
        'sns:GetSubscriptionAttributes',
        'sns:SetSubscriptionAttributes',
        'sns:Unsubscribe',
      ],
      topic,
    ),
    allow(
      'ReadVersionsAndDesiredStates',
      ['s3:GetObject'],
      objects(
        place,
        keys.artifact('*', '*', '*', '*'),
        keys.manifest('*', '*'),
        keys.desired(env, '*'),
        keys.changes(env),
      ),
    ),
    allow(
      'WriteOwnReports',
      ['s3:PutObject'],
      objects(place, keys.instance(env, '*', OWN_USERID), keys.report(env, '*', '*', OWN_USERID)),
    ),
    ...(features.logs === undefined
      ? []
      : [allow('WriteOwnLogs', ['s3:PutObject'], ownLogs(place, features.logs))]),
    // Without it S3 answers 403 instead of 404 for a missing object (S3 API Reference, GetObject).
    allow('MissingMeans404', ['s3:ListBucket'], [arns.bucket(place, place.bucket)]),
    ...bucketKey(place, 'kms:Decrypt', 'kms:GenerateDataKey'),
    ...(targetGroups.length > 0 ? traffic(targetGroups) : []),
    ...(autoScalingGroups.length > 0 ? lifecycle(place, autoScalingGroups) : []),
  ];
}

/** The logs of an instance, in each of the buckets. */
const ownLogs = (place: PolicyPlace, buckets: readonly string[]) =>
  buckets.map((bucket) => arns.object(place, bucket, `${keys.logs(place.env, '*')}${OWN_USERID}/*`));

/** The targets of a group have no ARN, and no condition key names them: the role can move every target of these groups. */
function traffic(targetGroups: readonly string[]): Statement[] {
  return [
    allow(
      'MoveTraffic',
      ['elasticloadbalancing:RegisterTargets', 'elasticloadbalancing:DeregisterTargets'],
      targetGroups,
    ),
    // These two take no resource.
    allow(
      'ReadTargetGroups',
      ['elasticloadbalancing:DescribeTargetHealth', 'elasticloadbalancing:DescribeTargetGroupAttributes'],
      ['*'],
    ),
  ];
}

/** No condition key names an instance of a group: the role can complete the hooks of every instance of these groups. */
function lifecycle(place: PolicyPlace, groups: readonly string[]): Statement[] {
  return [
    allow(
      'CompleteLifecycleActions',
      ['autoscaling:CompleteLifecycleAction', 'autoscaling:RecordLifecycleActionHeartbeat'],
      groups.map((group) => arns.autoScalingGroup(place, group)),
    ),
    // It takes no resource. An agent whose config names its group does not ask.
    allow('FindAutoScalingGroup', ['autoscaling:DescribeAutoScalingInstances'], ['*']),
  ];
}
