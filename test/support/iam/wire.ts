import type { RequestRecord } from '../cloud/requests.ts';
import type { Context } from './document.ts';

/**
 * What IAM is asked for a request to SNS, SQS, S3 or STS: its actions, their resource, and what is known of the request
 * (AWS Service Authorization Reference, "Operations").
 */

export interface Asked {
  readonly actions: readonly string[];
  readonly resource: string;
  readonly context: Context;
}

/** What the cloud knows of its things. */
export interface Things {
  readonly region: string;
  readonly account: string;
  /** The tags of a queue; undefined when there is no such queue. */
  tagsOf(queue: string): ReadonlyMap<string, string> | undefined;
  hasObject(bucket: string, key: string): boolean;
}

type Fields = Readonly<Record<string, unknown>>;

/** `body` is the request's, parsed. */
export function askedOf(record: RequestRecord, body: unknown, things: Things): Asked {
  const fields = (typeof body === 'object' && body !== null ? body : {}) as Fields;
  switch (record.service) {
    // STS API Reference, GetCallerIdentity: "No permissions are required to perform this operation".
    case 'sts':
      return { actions: [], resource: '*', context: {} };
    case 'sqs':
      return askedOfSqs(record, fields, things);
    case 'sns':
      return askedOfSns(record, fields, things);
    case 's3':
      return askedOfS3(record);
  }
}

function askedOfSqs({ operation, queue }: RequestRecord, fields: Fields, things: Things): Asked {
  const tags = Object.entries((operation === 'CreateQueue' ? fields.tags : fields.Tags) ?? {}) as [
    string,
    string,
  ][];
  const isTagging = operation === 'TagQueue' || tags.length > 0;
  return {
    actions: [
      `sqs:${operation.replace(/Batch$/, '')}`,
      // SQS Developer Guide, "Tagging for access control": a queue that is created with tags needs TagQueue as well.
      ...(operation === 'CreateQueue' && isTagging ? ['sqs:TagQueue'] : []),
    ],
    resource: queue === undefined ? '*' : `arn:aws:sqs:${things.region}:${things.account}:${queue}`,
    context: {
      ...prefixed('aws:RequestTag/', tags),
      ...(isTagging && { 'aws:TagKeys': tags.map(([key]) => key) }),
      ...prefixed('aws:ResourceTag/', queue ? (things.tagsOf(queue) ?? []) : []),
    },
  };
}

const prefixed = (prefix: string, tags: Iterable<readonly [string, string]>) =>
  Object.fromEntries([...tags].map(([key, value]) => [prefix + key, value]));

function askedOfSns({ operation }: RequestRecord, fields: Fields, { region, account }: Things): Asked {
  const text = (name: string) => (typeof fields[name] === 'string' ? fields[name] : undefined);
  // AWS's refusals name the topic: what is done to a subscription is authorized against its topic.
  const topic =
    text('TopicArn') ?? text('TargetArn') ?? text('ResourceArn') ?? topicOf(text('SubscriptionArn'));
  const named = text('Name') && `arn:aws:sns:${region}:${account}:${text('Name')}`;
  return {
    actions: [`sns:${operation.replace(/^PublishBatch$/, 'Publish')}`],
    resource: topic ?? named ?? '*',
    context:
      operation === 'Subscribe' ? { 'sns:Protocol': text('Protocol'), 'sns:Endpoint': text('Endpoint') } : {},
  };
}

const topicOf = (subscription: string | undefined) => subscription?.split(':').slice(0, 6).join(':');

/** The operations whose action has another name (S3 User Guide, "Required permissions for Amazon S3 API operations"). */
const S3_ACTIONS: Readonly<Record<string, string>> = {
  HeadObject: 'GetObject',
  ListObjects: 'ListBucket',
  ListObjectsV2: 'ListBucket',
  ListMultipartUploads: 'ListBucketMultipartUploads',
  HeadBucket: 'ListBucket',
  ListBuckets: 'ListAllMyBuckets',
  CopyObject: 'PutObject',
  CreateMultipartUpload: 'PutObject',
  UploadPart: 'PutObject',
  CompleteMultipartUpload: 'PutObject',
  DeleteObjects: 'DeleteObject',
  GetBucketEncryption: 'GetEncryptionConfiguration',
  PutBucketEncryption: 'PutEncryptionConfiguration',
  GetBucketLifecycleConfiguration: 'GetLifecycleConfiguration',
  PutBucketLifecycleConfiguration: 'PutLifecycleConfiguration',
  GetPublicAccessBlock: 'GetBucketPublicAccessBlock',
  PutPublicAccessBlock: 'PutBucketPublicAccessBlock',
};

function askedOfS3({ operation, bucket, key }: RequestRecord): Asked {
  const action = `s3:${S3_ACTIONS[operation] ?? operation}`;
  const of = operation === 'DeleteObjects' ? '*' : key;
  return {
    actions: [action],
    resource: bucket === undefined ? '*' : `arn:aws:s3:::${bucket}${of ? `/${of}` : ''}`,
    // The embedded cloud speaks plain HTTP on loopback; a real publisher and agent speak TLS.
    context: { 'aws:SecureTransport': 'true' },
  };
}

/**
 * For a missing object S3 says so only to those who may list the bucket, and 403 to all others (S3 API Reference,
 * GetObject, "Permissions"). Undefined where that makes no difference.
 */
export function askedOfMissing(
  { service, operation, bucket, key }: RequestRecord,
  things: Things,
): Asked | undefined {
  if (service !== 's3' || !/^(Get|Head)Object$/.test(operation) || !bucket || !key) return undefined;
  if (things.hasObject(bucket, key)) return undefined;
  return { actions: ['s3:ListBucket'], resource: `arn:aws:s3:::${bucket}`, context: {} };
}
