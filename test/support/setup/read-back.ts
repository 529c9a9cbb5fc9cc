import type { Cloud } from '../cloud/cloud.ts';
import { readTemplate } from './check-cloudformation.ts';
import { decoded, readConfiguration } from './check-terraform.ts';

/** An environment as each of its three forms has it: AWS after `init`, the CloudFormation template, the Terraform configuration. */
export interface ReadBack {
  readonly topic: { name: unknown; policy: unknown } | undefined;
  readonly events: { name: unknown; policy: unknown } | undefined;
  readonly bucket: {
    name: unknown;
    policy: unknown;
    publicAccessBlock: unknown;
    ownership: unknown;
    versioning: unknown;
    encryption: unknown;
    lifecycle: readonly unknown[];
  };
}

const rule = (id: unknown, prefix: unknown, expiration: unknown, noncurrent: unknown, uploads: unknown) => ({
  ...{ id, prefix, expiration: String(expiration), noncurrent: Number(noncurrent), uploads: Number(uploads) },
});

/** `names` are those of the topic, of the topic of notifications, and of the bucket. */
export function readCloud(
  cloud: Cloud,
  [topic, events, bucket]: readonly [string, string, string],
): ReadBack {
  const arnOf = (name: string) => `arn:aws:sns:${cloud.region}:000000000000:${name}`;
  const config = (kind: string) => cloud.bucketConfig(bucket, kind) ?? '';
  const one = (kind: string, tag: string) => new RegExp(`<${tag}>([^<]*)<`).exec(config(kind))?.[1];
  const topicOf = (name: string) => {
    const policy = cloud.topicAttribute(arnOf(name), 'Policy');
    return policy === undefined ? undefined : { name, policy: JSON.parse(policy) };
  };
  return {
    topic: topicOf(topic),
    events: topicOf(events),
    bucket: {
      name: bucket,
      policy: JSON.parse(config('policy')),
      publicAccessBlock: [
        'BlockPublicAcls',
        'IgnorePublicAcls',
        'BlockPublicPolicy',
        'RestrictPublicBuckets',
      ].map((tag) => one('publicAccessBlock', tag) === 'true'),
      ownership: one('ownershipControls', 'ObjectOwnership'),
      versioning: one('versioning', 'Status'),
      encryption: [one('encryption', 'SSEAlgorithm'), one('encryption', 'KMSMasterKeyID')],
      lifecycle: config('lifecycle')
        .split('<Rule>')
        .slice(1)
        .map((text) => {
          const tag = (name: string) => new RegExp(`<${name}>([^<]*)<`).exec(text)?.[1];
          const days = ['NoncurrentDays', 'DaysAfterInitiation'].map(tag);
          return rule(
            tag('ID'),
            tag('Prefix'),
            tag('ExpiredObjectDeleteMarker') ?? tag('Days'),
            days[0],
            days[1],
          );
        }),
    },
  };
}

export function readCloudFormation(text: string): ReadBack {
  const { Resources } = readTemplate(text);
  // biome-ignore lint/suspicious/noExplicitAny: a template has no types; a wrong path reads undefined, and differs.
  const properties = (name: string): any => Resources[name]?.Properties;
  const topicOf = (name: string) => {
    const { TopicName } = properties(name) ?? {};
    return TopicName && { name: TopicName, policy: properties(`${name}Policy`).PolicyDocument };
  };
  const bucket = properties('Bucket');
  const [encryption] = bucket.BucketEncryption.ServerSideEncryptionConfiguration;
  const { SSEAlgorithm, KMSMasterKeyID } = encryption.ServerSideEncryptionByDefault;
  const rules: Record<string, Record<string, unknown>>[] = bucket.LifecycleConfiguration.Rules;
  return {
    topic: topicOf('Topic'),
    events: topicOf('EventsTopic'),
    bucket: {
      name: bucket.BucketName,
      policy: properties('BucketPolicy').PolicyDocument,
      publicAccessBlock: Object.values(bucket.PublicAccessBlockConfiguration),
      ownership: bucket.OwnershipControls.Rules[0].ObjectOwnership,
      versioning: bucket.VersioningConfiguration.Status,
      encryption: [SSEAlgorithm, KMSMasterKeyID],
      lifecycle: rules.map((one) =>
        rule(
          one.Id,
          one.Prefix,
          one.ExpiredObjectDeleteMarker ?? one.ExpirationInDays,
          one.NoncurrentVersionExpiration?.NoncurrentDays,
          one.AbortIncompleteMultipartUpload?.DaysAfterInitiation,
        ),
      ),
    },
  };
}

export async function readTerraform(text: string): Promise<ReadBack> {
  const { resource } = await readConfiguration(text);
  // biome-ignore lint/suspicious/noExplicitAny: parsed HCL has no types; a wrong path reads undefined, and differs.
  const body = (type: string, label: string): any => resource[type]?.[label]?.[0];
  const topicOf = async (label: string) => {
    const name = body('aws_sns_topic', label)?.name;
    return name === undefined
      ? undefined
      : { name, policy: await decoded(body('aws_sns_topic_policy', label).policy) };
  };
  const setting = (type: string) => body(`aws_s3_bucket_${type}`, 'deploys');
  const block = setting('public_access_block');
  const encryption = setting('server_side_encryption_configuration').rule[0]
    .apply_server_side_encryption_by_default[0];
  const rules: Record<string, Record<string, unknown>[]>[] = setting('lifecycle_configuration').rule;
  return {
    topic: await topicOf('announcements'),
    events: await topicOf('events'),
    bucket: {
      name: body('aws_s3_bucket', 'deploys').bucket,
      policy: await decoded(setting('policy').policy),
      publicAccessBlock: [
        ...[block.block_public_acls, block.ignore_public_acls],
        ...[block.block_public_policy, block.restrict_public_buckets],
      ],
      ownership: setting('ownership_controls').rule[0].object_ownership,
      versioning: setting('versioning').versioning_configuration[0].status,
      encryption: [encryption.sse_algorithm, encryption.kms_master_key_id],
      lifecycle: rules.map((one) =>
        rule(
          one.id,
          one.filter?.[0]?.prefix,
          one.expiration?.[0]?.expired_object_delete_marker ?? one.expiration?.[0]?.days,
          one.noncurrent_version_expiration?.[0]?.noncurrent_days,
          one.abort_incomplete_multipart_upload?.[0]?.days_after_initiation,
        ),
      ),
    },
  };
}
