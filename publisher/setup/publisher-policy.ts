import { arns, keys, replyQueueName } from '../../shared/names.ts';
import { allow, bucketKey, objects, type PolicyPlace, type Statement } from './statements.ts';

/** What the role of those who deploy may do: it writes everything but what instances say of themselves. Pure. */
export function publisherStatements(place: PolicyPlace): Statement[] {
  const { env, features = {} } = place;
  const replyQueues = [arns.queue(place, replyQueueName(env, '*'))];
  return [
    allow('Announce', ['sns:Publish'], [arns.topic(place, env)]),
    allow(
      'ReplyQueues',
      ['sqs:CreateQueue', 'sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:DeleteQueue'],
      replyQueues,
    ),
    ...(features.queueTags ? [allow('TagReplyQueues', ['sqs:TagQueue'], replyQueues)] : []),
    allow(
      'ReadVersionsAndRecord',
      ['s3:GetObject'],
      objects(place, `${keys.versions()}*`, `${keys.services(env)}*`),
    ),
    allow('WriteVersions', ['s3:PutObject'], objects(place, `${keys.versions()}*`)),
    allow(
      'WriteRecord',
      ['s3:PutObject'],
      objects(
        place,
        keys.lock(env, '*'),
        keys.queue(env, '*'),
        keys.desired(env, '*'),
        keys.deployment(env, '*', '*'),
        keys.decision(env, '*', '*', '*'),
        keys.pulse(env, '*', '*'),
        keys.changes(env),
        keys.pause(env),
        keys.servicePause(env, '*'),
      ),
    ),
    allow('AbortUploads', ['s3:AbortMultipartUpload'], objects(place, keys.artifact('*', '*', '*', '*'))),
    allow('ListRecord', ['s3:ListBucket'], [arns.bucket(place, place.bucket)]),
    ...lookAtSetup(place),
    ...bucketKey(place, 'kms:Decrypt', 'kms:GenerateDataKey'),
    ...signWith(features.signingKeys ?? []),
    ...askEc2(place),
    // For all resources: with less, composite alarms are not returned (API Reference of CloudWatch, "DescribeAlarms").
    ...(features.alarms ? [allow('ReadAlarms', ['cloudwatch:DescribeAlarms'], ['*'])] : []),
    ...(features.events === undefined
      ? []
      : [allow('Notify', ['sns:Publish', 'sns:GetTopicAttributes'], [features.events])]),
  ];
}

/**
 * What those may do who only look: `status`, `history`, `show`, `versions`, and the read-only console, which is the same
 * for everybody who opens it. They ask no instance: a roll call is signed and announced. Package files are left out,
 * because config files that are pushed with them may hold secrets. Pure.
 */
export function readerStatements(place: PolicyPlace): Statement[] {
  const { env, features = {} } = place;
  return [
    allow(
      'ReadRecord',
      ['s3:GetObject'],
      objects(place, `${keys.services(env)}*`, keys.manifest('*', '*'), keys.index('*')),
    ),
    allow('ListRecord', ['s3:ListBucket'], [arns.bucket(place, place.bucket)]),
    ...(features.promotedFrom
      ? [allow('ReadPackages', ['s3:GetObject'], objects(place, keys.artifact('*', '*', '*', '*')))]
      : []),
    ...bucketKey(place, 'kms:Decrypt'),
  ];
}

/** DescribeInstances knows no resources, and the region as its only condition of use here. */
export function askEc2({ region, features }: PolicyPlace): Statement[] {
  if (!features?.ec2) return [];
  return [allow('AskEc2', ['ec2:DescribeInstances'], ['*'], { StringEquals: { 'ec2:Region': region } })];
}

/** What `doctor` looks at besides the record; it changes nothing there. */
function lookAtSetup(place: PolicyPlace): Statement[] {
  const settings = [
    's3:GetBucketVersioning',
    's3:GetBucketPolicy',
    's3:GetBucketPublicAccessBlock',
    's3:GetBucketOwnershipControls',
    's3:GetEncryptionConfiguration',
    's3:GetLifecycleConfiguration',
  ];
  const ofTopic = ['sns:GetTopicAttributes', 'sns:ListSubscriptionsByTopic', 'sns:GetSubscriptionAttributes'];
  return [
    allow('LookAtBucket', settings, [arns.bucket(place, place.bucket)]),
    allow('LookAtTopic', ofTopic, [arns.topic(place, place.env)]),
  ];
}

/** Only signatures of documents: KMS Developer Guide, "kms:SigningAlgorithm" and "kms:MessageType". */
export function signWith(keyArns: readonly string[]): Statement[] {
  if (keyArns.length === 0) return [];
  return [
    allow('Sign', ['kms:Sign'], keyArns, {
      StringEquals: { 'kms:SigningAlgorithm': 'ECDSA_SHA_256', 'kms:MessageType': 'DIGEST' },
    }),
    allow('ReadSigningKey', ['kms:GetPublicKey'], keyArns),
  ];
}
