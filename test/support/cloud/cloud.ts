import { AsyncLocalStorage } from 'node:async_hooks';
import { SnsStore } from '../../../node_modules/fauxqs/dist/sns/snsStore.js';
import { SqsStore } from '../../../node_modules/fauxqs/dist/sqs/sqsStore.js';
import { BucketConfigs } from './bucket-config.ts';
import { VERSIONED } from './bucket-kinds.ts';
import { Credentials } from './credentials.ts';
import { Deliveries } from './deliveries.ts';
import { type Fault, Faults } from './faults.ts';
import { buildFront } from './front.ts';
import { type Call, RequestLog, type RequestRecord } from './requests.ts';
import { StrictS3Store } from './s3.ts';
import { StrictSqsStore } from './sqs.ts';

export interface CloudOptions {
  /** 0, the default, takes any free port. */
  readonly port?: number;
  readonly region?: string;
  /** How long the name of a deleted queue stays taken. AWS: 60 s. */
  readonly queueRecreationMs?: number;
  /**
   * A long poll whose client has gone still receives the next message, which then is invisible for 30 s. AWS may do so:
   * it does not promise to notice that a consumer was killed. The default is that such a poll receives nothing.
   */
  readonly deadPollsReceive?: boolean;
  /** How far the cloud's clock is ahead of this machine's: shifts the Date header and the check of signing times. */
  readonly clockOffsetMs?: number;
}

interface StoredObject {
  readonly body: Buffer;
  readonly etag: string;
  readonly lastModified: Date;
}

/** SNS, SQS and S3 in this process, on 127.0.0.1 only, as strict as AWS where trigger-deploy could be fooled. */
export interface Cloud {
  readonly endpoint: string;
  readonly port: number;
  readonly region: string;
  /** Ends open polls with an empty answer, closes every connection and frees the port. */
  stop(): Promise<void>;

  /**
   * What a child process needs to reach this cloud. The access key says who it is, and what it may do: `session-NAME`, and
   * `session-NAME~MORE`, is the role session NAME (for an instance: `instanceKey(id)`), any other key a user with the
   * policy of its name (test/support/iam/authorize.ts). `publisher` when left out.
   */
  env(accessKeyId?: string): Record<string, string>;
  /** The cloud's clock goes ahead of this machine's by so much more; programs set theirs by it with their next request. */
  advanceClock(ms: number): void;
  expireCredentials(accessKeyId: string): void;
  renewCredentials(accessKeyId: string): void;

  /** Answers the topic's ARN. */
  createTopic(name: string): string;
  createBucket(name: string): void;
  /** The bucket says from now on that it keeps the old versions of its objects. */
  enableVersioning(name: string): void;
  /** A bucket of another account, whose name is taken. */
  createForeignBucket(name: string): void;
  /** A configuration of a bucket as it was put, by the parameter of its request: `policy`, `versioning`. No version is kept. */
  bucketConfig(name: string, kind: string): string | undefined;
  /** As another tool sets it; undefined deletes it. */
  setBucketConfig(name: string, kind: string, config: string | undefined): void;
  topicAttribute(arn: string, name: string): string | undefined;
  setTopicAttribute(arn: string, name: string, text: string): void;
  /** `lastModified` is now when left out. */
  putObject(bucket: string, key: string, body: string | Uint8Array, lastModified?: Date): StoredObject;
  deleteObject(bucket: string, key: string): void;
  object(bucket: string, key: string): StoredObject | undefined;
  /** Keys, in S3's order. */
  objects(bucket: string, prefix?: string): string[];
  queues(): string[];
  /** The bodies in a queue, also of those that a consumer has received and not deleted. Receives nothing. */
  messages(queue: string): string[];
  /** Past the SDK's validation, with the SenderId of the access key; goes through `deliveries` as any other. */
  sendRaw(queue: string, body: string, accessKeyId?: string): void;

  /** Every request, in the order of arrival. */
  readonly requests: readonly RequestRecord[];
  /** The first request, past or to come, that fits; instead of a sleep. `status` is undefined while it is open. */
  until(which: (request: RequestRecord) => boolean, signal?: AbortSignal): Promise<RequestRecord>;
  /** The next `times` requests that fit meet this fault. */
  fail(fault: Fault, which: (request: RequestRecord) => boolean, times?: number): void;
  /** Duplicates, reorders, delays and holds messages. */
  readonly deliveries: Deliveries;
}

export async function startCloud(options: CloudOptions = {}): Promise<Cloud> {
  const {
    port: wantedPort = 0,
    region = 'eu-west-1',
    queueRecreationMs = 60_000,
    deadPollsReceive = false,
    clockOffsetMs = 0,
  } = options;
  let offsetMs = clockOffsetMs;
  const now = (): number => Date.now() + offsetMs;
  const calls = new AsyncLocalStorage<Call>();
  const deliveries = new Deliveries();
  const log = new RequestLog();
  const faults = new Faults();
  const credentials = new Credentials(now);
  const sqs = new StrictSqsStore(calls, deliveries, { queueRecreationMs, deadPollsReceive });
  const sns = new SnsStore();
  const s3 = new StrictS3Store(calls);
  const buckets = new BucketConfigs(region);
  const app = buildFront({
    region,
    sqs,
    sns,
    s3,
    buckets,
    calls,
    log,
    faults,
    credentials,
    now,
  });
  const endpoint = await app.listen({ port: wantedPort, host: '127.0.0.1' });

  const queueNamed = (name: string): ReturnType<StrictSqsStore['createQueue']> => {
    const queue = sqs.getQueueByName(name);
    if (queue === undefined) throw new Error(`no queue ${name}; there are: ${sqs.queueNames().join(', ')}`);
    return queue;
  };

  return {
    endpoint,
    port: Number(new URL(endpoint).port),
    region,
    async stop() {
      deliveries.discard();
      await app.close();
    },

    env: (accessKeyId = 'publisher') => ({
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: 'embedded-cloud',
      AWS_EC2_METADATA_DISABLED: 'true',
      // A profile in the developer's own shell would win over the keys above.
      AWS_PROFILE: '',
    }),
    advanceClock(ms) {
      offsetMs += ms;
    },
    expireCredentials: (accessKeyId) => credentials.expire(accessKeyId),
    renewCredentials: (accessKeyId) => credentials.renew(accessKeyId),

    createTopic: (name) => sns.createTopic(name, undefined, undefined, region).arn,
    createBucket: (name) => s3.createBucket(name),
    enableVersioning: (name) => buckets.set(name, 'versioning', VERSIONED),
    bucketConfig: (name, kind) => buckets.get(name, kind),
    setBucketConfig: (name, kind, config) => buckets.set(name, kind, config),
    createForeignBucket(name) {
      s3.createBucket(name);
      buckets.giveAway(name);
    },
    topicAttribute: (arn, name) => sns.getTopic(arn)?.attributes[name],
    setTopicAttribute(arn, name, text) {
      const topic = sns.getTopic(arn);
      if (topic === undefined) throw new Error(`no topic ${arn}`);
      topic.attributes[name] = text;
    },
    putObject(bucket, key, body, lastModified) {
      const object = s3.putObject(bucket, key, Buffer.from(body));
      return stored(lastModified === undefined ? object : Object.assign(object, { lastModified }));
    },
    deleteObject: (bucket, key) => s3.deleteObject(bucket, key),
    object(bucket, key) {
      const found = s3.find(bucket, key);
      return found && stored(found);
    },
    objects: (bucket, prefix = '') =>
      s3
        .listObjects(bucket, { prefix, maxKeys: Number.POSITIVE_INFINITY })
        .objects.map((object) => object.key),
    queues: () => sqs.queueNames(),
    messages(name) {
      const { ready, delayed, inflight } = queueNamed(name).inspectMessages();
      return [...ready, ...delayed, ...inflight.map((entry) => entry.message)].map((message) => message.body);
    },
    sendRaw(name, body, accessKeyId = 'publisher') {
      const queue = queueNamed(name);
      const record = {
        at: Date.now(),
        service: 'sqs',
        operation: 'SendMessage',
        queue: name,
        accessKeyId,
      } as const;
      const call = { record, headers: {}, gone: new AbortController().signal };
      calls.run(call, () => queue.enqueue(SqsStore.createMessage(body)));
    },

    requests: log.records,
    until: (which, signal) => log.until(which, signal),
    fail: (fault, which, times = 1) => faults.add(fault, which, times),
    deliveries,
  };
}

function stored({ body, etag, lastModified }: StoredObject): StoredObject {
  return { body, etag, lastModified };
}
