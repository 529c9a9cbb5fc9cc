import type { SnsStore } from '../../../node_modules/fauxqs/dist/sns/snsStore.js';
import type { PolicyPlace } from '../../../publisher/setup/statements.ts';
import { refusalOf } from '../iam/authorize.ts';
import type { AnyPolicy } from '../iam/document.ts';
import { EVERYTHING } from '../iam/places.ts';
import { type Asked, askedOf, askedOfMissing, type Things } from '../iam/wire.ts';
import { ACCOUNT, type BucketConfigs } from './bucket-config.ts';
import { CloudError } from './errors.ts';
import type { Call, RequestRecord } from './requests.ts';
import type { StrictS3Store } from './s3.ts';
import type { StrictSqsStore } from './sqs.ts';

/**
 * The IAM of the embedded cloud. Its environments are what its topics and buckets say: a role has the policy of each
 * topic `trigger-deploy-ENV` with each bucket. Every other topic may be the one of `notify: events`.
 */

export interface Stores {
  readonly region: string;
  readonly sqs: StrictSqsStore;
  readonly sns: SnsStore;
  readonly s3: StrictS3Store;
  readonly buckets: BucketConfigs;
}

/** Refuses what the policy of the caller's role does not allow. */
export function createIam({ region, sqs, sns, s3, buckets }: Stores): (call: Call, body: unknown) => void {
  const things: Things = {
    region,
    account: ACCOUNT,
    tagsOf: (queue) => sqs.getQueueByName(queue)?.tags,
    hasObject: (bucket, key) => !s3.hasBucket(bucket) || s3.find(bucket, key) !== undefined,
  };
  // A role keeps its policy when the topic or the bucket is deleted.
  const topics = new Set<string>();
  const bucketNames = new Set<string>();
  let known: { count: number; places: PolicyPlace[] } = { count: 0, places: [] };
  function places(): PolicyPlace[] {
    for (const arn of sns.topics.keys()) topics.add(arn);
    for (const { name } of s3.listBuckets()) bucketNames.add(name);
    const count = topics.size + bucketNames.size;
    if (count !== known.count) known = { count, places: placesOf(region, [...topics], [...bucketNames]) };
    return known.places;
  }

  /** The policy of the queue, topic or bucket itself. */
  function policyOf(resource: string, { service, queue = '', bucket = '' }: RequestRecord) {
    const texts = {
      sqs: () => sqs.getQueueByName(queue)?.attributes.Policy,
      sns: () => sns.getTopic(resource)?.attributes.Policy,
      s3: () => buckets.get(bucket, 'policy'),
      sts: () => undefined,
    };
    const text = texts[service]();
    return text ? (JSON.parse(text) as AnyPolicy) : undefined;
  }

  return ({ record }, body) => {
    const { accessKeyId = '', bucket } = record;
    // S3 says NoSuchBucket to everybody: no account owns such a name.
    if (bucket !== undefined && record.operation !== 'CreateBucket' && !s3.hasBucket(bucket)) return;
    const refuse = ({ actions, resource, context }: Asked) => {
      for (const action of actions) {
        const resourcePolicy = policyOf(resource, record);
        const refusal = refusalOf({ accessKeyId, action, resource, context, resourcePolicy }, places());
        if (refusal !== undefined) throw denied(record, refusal);
      }
    };
    refuse(askedOf(record, body, things));
    const missing = askedOfMissing(record, things);
    if (missing) refuse(missing);
  };
}

function placesOf(region: string, topics: readonly string[], buckets: readonly string[]): PolicyPlace[] {
  const envOf = (arn: string) => /:trigger-deploy-([a-z0-9]{1,16})$/.exec(arn)?.[1];
  const envs = topics.flatMap((arn) => envOf(arn) ?? []);
  const events = topics.find((arn) => envOf(arn) === undefined);
  return envs.flatMap((env) =>
    buckets.map((bucket) => ({
      ...{ partition: 'aws', region, account: ACCOUNT, env, bucket },
      features: { ...EVERYTHING.features, logs: buckets, ...(events !== undefined && { events }) },
    })),
  );
}

function denied({ service }: RequestRecord, message: string): CloudError {
  return new CloudError(403, service === 'sns' ? 'AuthorizationError' : 'AccessDenied', message);
}
