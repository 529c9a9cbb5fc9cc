import { agentQueueName, arns, keys, replyQueueName } from '../../shared/names.ts';
import { askEc2, signWith } from './publisher-policy.ts';
import { allow, bucketKey, objects, type PolicyPlace, type Statement } from './statements.ts';

/**
 * What the role of an operator may do who runs `gc`: it alone deletes. It asks the instances, holds the lock of a service for a
 * moment, and writes nothing else. Desired states, locks and pauses it may not delete. Pure.
 */
export function gcStatements(place: PolicyPlace): Statement[] {
  const { env, bucket, features = {} } = place;
  const names = features.instances ?? ['i-*'];
  const queues = names.map((name) => arns.queue(place, agentQueueName(env, name)));
  const replyQueues = arns.queue(place, replyQueueName(env, '*'));
  const topic = arns.topic(place, env);
  return [
    allow('Ask', ['sns:Publish'], [topic]),
    allow('HearAnswers', ['sqs:CreateQueue', 'sqs:ReceiveMessage', 'sqs:DeleteMessage'], [replyQueues]),
    ...(features.queueTags ? [allow('TagReplyQueues', ['sqs:TagQueue'], [replyQueues])] : []),
    // ListQueues knows no resources.
    allow('ListQueues', ['sqs:ListQueues'], ['*']),
    allow(
      'DeleteQueues',
      ['sqs:GetQueueUrl', 'sqs:GetQueueAttributes', 'sqs:ListQueueTags', 'sqs:DeleteQueue'],
      [...queues, replyQueues],
    ),
    // SNS authorizes Unsubscribe against the topic.
    allow('DeleteSubscriptions', ['sns:ListSubscriptionsByTopic', 'sns:Unsubscribe'], [topic]),
    allow('Read', ['s3:GetObject'], objects(place, `${keys.versions()}*`, keys.anyRecord())),
    allow('List', ['s3:ListBucket', 's3:ListBucketMultipartUploads'], [arns.bucket(place, bucket)]),
    allow('HoldLocks', ['s3:PutObject'], objects(place, keys.lock('*', '*'), keys.index('*'))),
    allow(
      'Delete',
      ['s3:DeleteObject'],
      objects(
        place,
        keys.manifest('*', '*'),
        keys.artifact('*', '*', '*', '*'),
        `${keys.deployments(env, '*')}*`,
        `${keys.instances(env, '*')}*`,
      ),
    ),
    allow('AbortUploads', ['s3:AbortMultipartUpload'], objects(place, keys.artifact('*', '*', '*', '*'))),
    ...bucketKey(place, 'kms:Decrypt', 'kms:GenerateDataKey'),
    ...signWith(features.signingKeys ?? []),
    ...askEc2(place),
  ];
}
