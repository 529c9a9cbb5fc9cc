import { accountOfArn, partitionOf, regionOfArn } from '../../shared/aws-names.ts';
import { eventsTopicName, topicName } from '../../shared/names.ts';
import { type Alarm, alarmOf, mayPublishAlarms } from './alarm.ts';
import { type OwnRule, ownRules } from './lifecycle.ts';
import { documentOf, type PolicyDocument, type Statement } from './policy-document.ts';

/**
 * One environment as it should be in AWS. `init` compares AWS with it, and the printed templates are made of it: so all of
 * them describe the same environment. Pure.
 */

export interface Place {
  env: string;
  region: string;
  account: string;
  bucket: string;
  /** The KMS key that encrypts the bucket; S3's own keys when left out. */
  bucketKey?: string | undefined;
  /** The ARN of the topic of notifications, or true for one with the usual name. */
  events?: string | true | undefined;
  /** After how many days the logs of services are removed from the bucket; they stay when left out. */
  logDays?: number | undefined;
  /** Whether a write to a signed document by anyone but the publisher is told to the topic of notifications. */
  alarm?: boolean | undefined;
  /** Whether there is a role of `gc`. */
  hasGc?: boolean | undefined;
}

export interface WantedTopic {
  name: string;
  arn: string;
  policy: PolicyDocument;
}

export interface WantedBucket {
  name: string;
  arn: string;
  policy: PolicyDocument;
  lifecycle: OwnRule[];
  encryption: Encryption;
}

/** With S3's own keys, or with a KMS key: then with a bucket key, so that KMS is not asked for each object. */
export type Encryption = { algorithm: 'AES256' } | { algorithm: 'aws:kms'; key: string };

export interface Wanted {
  env: string;
  region: string;
  account: string;
  partition: string;
  topic: WantedTopic;
  bucket: WantedBucket;
  events: WantedTopic | undefined;
  alarm: Alarm | undefined;
}

/** What all buckets of this project have in common. */
export const PUBLIC_ACCESS_BLOCK = {
  BlockPublicAcls: true,
  IgnorePublicAcls: true,
  BlockPublicPolicy: true,
  RestrictPublicBuckets: true,
} as const;
export const OBJECT_OWNERSHIP = 'BucketOwnerEnforced';

export function wantedOf(place: Place): Wanted {
  const { env, region, account } = place;
  const partition = partitionOf(region);
  const arnOf = (name: string) => `arn:${partition}:sns:${region}:${account}:${name}`;
  const bucketArn = `arn:${partition}:s3:::${place.bucket}`;
  const events = place.events === true || (place.events === undefined && place.alarm);
  const eventsArn = events ? arnOf(eventsTopicName(env)) : (place.events as string | undefined);
  const alarm =
    place.alarm && eventsArn
      ? alarmOf({ ...place, hasGc: place.hasGc ?? false, partition, bucketArn, eventsArn })
      : undefined;
  const topic = (arn: string, ...more: readonly Statement[]): WantedTopic => ({
    name: arn.split(':')[5] ?? '',
    arn,
    policy: documentOf(ownerStatement(partition, account, arn), topicTlsOnly(arn), ...more),
  });
  return {
    ...{ env, region, account, partition, alarm },
    topic: topic(arnOf(topicName(env))),
    bucket: {
      name: place.bucket,
      arn: bucketArn,
      policy: documentOf(bucketTlsOnly(bucketArn)),
      lifecycle: ownRules(env, place.logDays),
      encryption:
        place.bucketKey === undefined
          ? { algorithm: 'AES256' }
          : { algorithm: 'aws:kms', key: place.bucketKey },
    },
    events:
      eventsArn === undefined ? undefined : topic(eventsArn, ...(alarm ? [mayPublishAlarms(alarm)] : [])),
  };
}

/**
 * The account may use its topic, and its IAM policies decide who. Without this statement only those policies would count,
 * which is the same; it is here so that the topic's policy has a statement that allows, as SNS's own default has.
 */
const ownerStatement = (partition: string, account: string, arn: string): Statement => ({
  Sid: 'TriggerDeployAccount',
  Effect: 'Allow',
  Principal: { AWS: `arn:${partition}:iam::${account}:root` },
  Action: [
    'sns:AddPermission',
    'sns:DeleteTopic',
    'sns:GetTopicAttributes',
    'sns:ListSubscriptionsByTopic',
    'sns:Publish',
    'sns:RemovePermission',
    'sns:SetTopicAttributes',
    'sns:Subscribe',
  ],
  Resource: arn,
});

/** SNS Developer Guide, "Security best practices": enforce encryption of data in transit. */
const topicTlsOnly = (arn: string): Statement => ({
  Sid: 'TriggerDeployTlsOnly',
  Effect: 'Deny',
  Principal: '*',
  Action: 'sns:Publish',
  Resource: arn,
  Condition: { Bool: { 'aws:SecureTransport': 'false' } },
});

/** S3 User Guide, "Security best practices": enforce encryption of data in transit. */
const bucketTlsOnly = (arn: string): Statement => ({
  Sid: 'TriggerDeployTlsOnly',
  Effect: 'Deny',
  Principal: '*',
  Action: 's3:*',
  Resource: [arn, `${arn}/*`],
  Condition: { Bool: { 'aws:SecureTransport': 'false' } },
});

/**
 * The statement that SNS gives a topic that was created without a policy. Its condition key `AWS:SourceOwner` has no
 * documentation that says whom it lets in, so the topic of the announcements goes without it: who may publish there is for
 * IAM to say.
 */
export function isDefaultStatement(statement: unknown, account: string): boolean {
  const { Sid, Condition } = (statement ?? {}) as { Sid?: unknown; Condition?: unknown };
  return (
    Sid === '__default_statement_ID' &&
    JSON.stringify(Condition ?? {}).toLowerCase() === `{"stringequals":{"aws:sourceowner":"${account}"}}`
  );
}

/** Whether a topic's ARN names this region and account: else it is not for `init` or a template to make. */
export const isTopicOf = (arn: string, region: string, account: string): boolean =>
  regionOfArn(arn) === region && accountOfArn(arn) === account;
