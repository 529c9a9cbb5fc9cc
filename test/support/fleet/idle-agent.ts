import { Readable } from 'node:stream';
import { onTestFinished, vi } from 'vitest';
import { createHeartbeat } from '../../../agent/aws/heartbeat.ts';
import { createAgentQueue, isQueueGone } from '../../../agent/aws/queue.ts';
import { createReporter } from '../../../agent/aws/reporter.ts';
import { createChangesStore, createDesiredStore } from '../../../agent/aws/s3-stores.ts';
import { createDesiredReader } from '../../../agent/deploy/converge.ts';
import type { ServiceState } from '../../../agent/deploy/state.ts';
import { openWorker } from '../../../agent/deploy/worker.ts';
import { runAgent } from '../../../agent/loop/agent.ts';
import type { Aws } from '../../../shared/aws.ts';
import type { Desired } from '../../../shared/desired.ts';
import { silentLog } from '../../../shared/log.ts';
import { keys, newUlid } from '../../../shared/names.ts';
import { trustNone } from '../../../shared/signing.ts';
import { heldClock } from '../host/clock.ts';
import { createFakePorts, IDENTITY, type Model, modelRunning, orderOf, serviceConfig } from './fake-ports.ts';
import { NO_NOTIFIER } from './no-notifier.ts';
import { NO_ORDERS } from './no-orders.ts';

/** An agent with its own loop and its own adapters of AWS, before an AWS in memory that counts, on a clock that is put forward. */

const ENV = 'dev';
const BUCKET = 'deploys';
const TOPIC = 'arn:aws:sns:eu-west-1:123456789012:trigger-deploy-dev';
export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

export interface Asked {
  operation: string;
  key: string | undefined;
  /** When, ms after the start. */
  at: number;
}

export interface IdleAgent {
  asked: Asked[];
  /** How often each operation was asked for; reads of S3 by kind of object. */
  counts(): Record<string, number>;
  /** Forgets what was asked so far. */
  forget(): void;
  putForward(ms: number): Promise<void>;
  /** The machine sleeps: the time passes, and nothing runs. */
  suspend(ms: number): void;
  put(key: string, body: string): void;
  remove(key: string): void;
  /** Reads of this key answer 403. */
  deny(key: string): void;
  /** Writes a desired state as a publisher does, but tells nobody. */
  desire(service: string, version: string, sequence: number, more?: Partial<Desired>): Desired;
  /** Writes the list of changes. */
  list(services: Record<string, string>): void;
  /** SNS has lost the subscription. */
  unsubscribe(): void;
  state(service: string): ServiceState;
  /** The service has no current version any more. */
  runNothing(service: string): void;
  /** What the service's current version is cannot be read any more. */
  breakCurrent(service: string): void;
}

/** How far apart the looks of an agent are: at their mean, or as far as the jitter allows. */
const RANDOM = { mean: 0.5, longest: 0.999_999 };

/** Starts an agent with services that run 1.0.0, whose desired states and list of changes say so. */
export async function startIdleAgent(
  services: readonly string[],
  { jitter = 'mean', withList = true }: { jitter?: keyof typeof RANDOM; withList?: boolean } = {},
): Promise<IdleAgent> {
  vi.spyOn(Math, 'random').mockReturnValue(RANDOM[jitter]);
  onTestFinished(() => void vi.restoreAllMocks());
  // Reading a document takes several turns.
  const { clock: held, putForward } = heldClock(6);
  let slept = 0;
  const clock = { ...held, now: () => held.now() + slept };
  const bucket = new Map<string, { body: string; etag: string }>();
  const denied = new Set<string>();
  const asked: Asked[] = [];
  let subscription = 1;
  let writes = 0;

  const put = (key: string, body: string) => {
    writes += 1;
    bucket.set(key, { body, etag: `"${writes}"` });
  };
  const answers: Record<string, (input: Record<string, string>, signal: AbortSignal) => unknown> = {
    GetQueueUrl: () => ({ QueueUrl: 'https://sqs/queue' }),
    GetQueueAttributes: () => ({ Attributes: { QueueArn: 'arn:queue' } }),
    Subscribe: () => ({ SubscriptionArn: `${TOPIC}:${subscription}` }),
    GetSubscriptionAttributes: () => ({ Attributes: { RawMessageDelivery: 'true' } }),
    async ReceiveMessage(_input, signal) {
      await clock.sleep(20_000, signal);
      return { Messages: [] };
    },
    GetObject({ Key = '', IfNoneMatch }) {
      if (denied.has(Key)) throw failure('AccessDenied', 403);
      const found = bucket.get(Key);
      if (found === undefined) throw failure('NoSuchKey', 404);
      if (found.etag === IfNoneMatch) throw failure('NotModified', 304);
      return { Body: Readable.from([Buffer.from(found.body)]), ETag: found.etag };
    },
    PutObject({ Key = '', Body = '' }) {
      put(Key, Body);
      return { ETag: bucket.get(Key)?.etag };
    },
  };
  const client = {
    async send(
      command: { constructor: { name: string }; input: Record<string, string> },
      { abortSignal = new AbortController().signal } = {},
    ) {
      const operation = command.constructor.name.replace(/Command$/, '');
      asked.push({ operation, key: command.input.Key, at: clock.monotonic() });
      return await answers[operation]?.(command.input, abortSignal);
    },
  };
  const aws = { sqs: client, sns: client, s3: client, now: clock.now } as unknown as Aws;
  const log = silentLog();
  const userId = async () => 'AROA:i-1';
  const options = { aws, bucket: BUCKET, env: ENV };
  const reporter = createReporter({ aws, bucket: BUCKET, clock, log, userId });

  const desire: IdleAgent['desire'] = (service, version, sequence, more = {}) => {
    const document: Desired = {
      ...{ v: 1, env: ENV, service, version, sequence, deployment: newUlid(sequence), action: 'deploy' },
      ...{ artifacts: orderOf(version).artifacts, changedAt: '2026-01-01T00:00:00.000Z', changedBy: 'ci' },
      nonce: `${service} ${sequence}`,
      ...more,
    };
    const segment = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const head = segment({ alg: 'EdDSA', kid: 'k', typ: 'td-desired+jws' });
    put(keys.desired(ENV, service), `${head}.${segment(document)}.AAAA`);
    return document;
  };
  const list: IdleAgent['list'] = (named) =>
    put(keys.changes(ENV), JSON.stringify({ v: 1, nonce: `${writes}`, services: named }));

  const models = new Map<string, Model>();
  const workers = new Map(
    await Promise.all(
      services.map(async (name) => {
        const model = modelRunning('1.0.0');
        models.set(name, model);
        const ports = { ...createFakePorts(model), clock, reporter };
        // Sequence 0: an instance that runs 1.0.0 for longer than its record reaches.
        desire(name, '1.0.0', 1, { pause: { by: 'ci', since: '2026-01-01T00:00:00.000Z', reason: 'idle' } });
        return [
          name,
          await openWorker({ service: serviceConfig({ name }), ports, identity: IDENTITY, log }),
        ] as const;
      }),
    ),
  );
  if (withList) list(Object.fromEntries(services.map((name) => [name, `${name} 1`])));
  const stopping = new AbortController();
  const running = runAgent(
    {
      ...{ identity: IDENTITY, workers, isQueueGone, verifier: trustNone(), reporter, clock, log },
      inbox: createAgentQueue({ aws, env: ENV, instance: 'i-1', topic: TOPIC, log, userId }),
      local: { ...NO_ORDERS, changed: (_ms, signal) => clock.sleep(HOUR, signal).catch(() => undefined) },
      desired: createDesiredReader(createDesiredStore(options), trustNone(), ENV),
      changes: createChangesStore(options),
      notifier: NO_NOTIFIER,
      heartbeat: createHeartbeat({ ...options, instance: 'i-1', userId }),
    },
    stopping.signal,
  );
  onTestFinished(async () => {
    stopping.abort(new Error('stopped'));
    await running;
    await reporter.close(0);
  });
  await putForward(1);

  return {
    asked,
    counts() {
      const counts: Record<string, number> = {};
      for (const { operation, key } of asked) {
        const what = key === undefined ? operation : `${operation} ${key.slice(key.lastIndexOf('/') + 1)}`;
        counts[what] = (counts[what] ?? 0) + 1;
      }
      return counts;
    },
    forget: () => void asked.splice(0),
    putForward,
    suspend(ms) {
      slept += ms;
    },
    put,
    remove: (key) => void bucket.delete(key),
    deny: (key) => void denied.add(key),
    desire,
    list,
    unsubscribe() {
      subscription += 1;
    },
    state(service) {
      const worker = workers.get(service);
      if (!worker) throw new Error(`no worker of ${service}`);
      return worker.state();
    },
    runNothing(service) {
      const model = models.get(service);
      if (model) model.current = null;
    },
    breakCurrent(service) {
      const get = () => {
        throw new Error('current is not a symbolic link');
      };
      Object.defineProperty(models.get(service), 'current', { get });
    },
  };
}

function failure(name: string, httpStatusCode: number): Error {
  return Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });
}
