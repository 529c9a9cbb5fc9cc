import { SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs';
import { keys } from '../../../../shared/names.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import type { RequestRecord } from '../../../support/cloud/requests.ts';
import { BUCKET, ENV, type Fleet } from '../../../support/fleet/fleet.ts';
import { type Finished, type Program, PUBLISHER } from '../../../support/programs.ts';

/** Real publishers, each with an access key of its own, so that its requests can be distinguished from all others. */

export interface Publisher extends Program {
  /** What it has asked of AWS so far, in order. */
  asked(): RequestRecord[];
}

let started = 0;

interface Circumstances {
  clockOffsetMs?: number;
  who?: string;
  /** The working and home directory of another machine; the config is copied there. */
  elsewhere?: string;
}

/** `trigger-deploy …`, with publisher-clock.ts loaded. */
export function startPublisher(
  fleet: Fleet,
  args: readonly string[],
  { clockOffsetMs = 0, who, elsewhere }: Circumstances = {},
): Publisher {
  started += 1;
  const key = `publisher-${started}`;
  const env = {
    ...fleet.cloud.env(key),
    NO_COLOR: '1',
    TEST_CLOCK_OFFSET_MS: String(clockOffsetMs),
    // Who publishes, as a CI build says it.
    ...(who === undefined ? {} : { JENKINS_URL: 'https://ci', JOB_NAME: who, BUILD_NUMBER: '7' }),
  };
  const argv = ['--import', import.meta.resolve('./clock.ts'), PUBLISHER, ...args, '--env', ENV];
  const program = fleet.start(argv, { env, cwd: elsewhere ?? fleet.publisherDir });
  return {
    ...program,
    asked: () => fleet.cloud.requests.filter(({ accessKeyId }) => accessKeyId === key),
  };
}

type Counted = (request: RequestRecord) => boolean;

/** What changes something in AWS: between two of these, dying is dying after the first. */
const isWrite: Counted = ({ operation }) =>
  !/^(Get|List|Head|Receive)/.test(operation) && operation !== 'DeleteMessageBatch';
/** All but the reading of its own reply queue, which is as often as there are reports. */
export const isStep: Counted = ({ operation }) =>
  operation !== 'ReceiveMessage' && operation !== 'DeleteMessageBatch';

export interface Killed {
  /** Its requests; the last that counts was carried out, and the answer was lost. */
  asked: RequestRecord[];
  /** It came to its end before there was an n-th request. */
  lived: boolean;
  finished: Finished;
}

/** A publisher that is killed by SIGKILL in the moment in which its n-th request that counts is carried out. */
export async function killedAt(
  fleet: Fleet,
  n: number,
  args: readonly string[],
  counts: Counted = isWrite,
): Promise<Killed> {
  const publisher = startPublisher(fleet, args);
  const finished = await killed(fleet, publisher, () => {
    return withoutBeats(fleet, publisher.asked().filter(counts)).length >= n;
  });
  return { asked: publisher.asked(), lived: finished.code !== null, finished };
}

/** S3's time of the lock is put back by this: so long ago was its owner's last heartbeat. */
export function putBackLock({ cloud }: Fleet, service: string, ms: number): void {
  cloud.object(BUCKET, keys.lock(ENV, service))?.lastModified.setTime(Date.now() - ms);
}

/** The lock of a dead publisher as one on another machine would have left it, with a heartbeat just now. */
export function moveLockElsewhere({ cloud }: Fleet, service: string): void {
  const key = keys.lock(ENV, service);
  const lock = JSON.parse(cloud.object(BUCKET, key)?.body.toString() ?? '{}');
  if (lock.owner) lock.owner.place = 'another machine';
  cloud.putObject(BUCKET, key, JSON.stringify(lock));
}

/**
 * Puts the time of a dead owner's lock back for as long as `work` goes on: what the owner had sent before it was killed
 * may arrive late, and would count as a heartbeat.
 */
export async function deadFor<T>(fleet: Fleet, service: string, ms: number, work: Promise<T>): Promise<T> {
  const dead = lockOf(fleet, service)?.owner?.id;
  const putBack = () => {
    if (lockOf(fleet, service)?.owner?.id === dead) putBackLock(fleet, service, ms);
  };
  putBack();
  const again = setInterval(putBack, 100);
  try {
    return await work;
  } finally {
    clearInterval(again);
  }
}

/** A publisher that is killed by SIGKILL once `when` is so; asked whenever a request comes or is answered. */
export async function killedOnce(
  fleet: Fleet,
  args: readonly string[],
  when: () => boolean,
): Promise<Finished> {
  return await killed(fleet, startPublisher(fleet, args), when);
}

async function killed({ cloud }: Fleet, publisher: Publisher, when: () => boolean): Promise<Finished> {
  const over = new AbortController();
  cloud
    .until((first) => {
      // Asked with every request whenever anything changes; once per change is enough.
      if (first !== cloud.requests[0] || !when()) return false;
      publisher.process.kill('SIGKILL');
      return true;
    }, over.signal)
    .catch(() => undefined);
  const finished = await publisher.finished;
  over.abort();
  return finished;
}

/** Without the renewals of the lock, of which there are as many as this machine is slow: its taking and its release stay. */
function withoutBeats({ cloud }: Fleet, asked: readonly RequestRecord[]): RequestRecord[] {
  const isLock = ({ operation, key }: RequestRecord) =>
    operation === 'PutObject' && key?.endsWith('/lock.json');
  const [taken, released] = [asked.find(isLock), asked.findLast(isLock)];
  const stored = cloud.object(BUCKET, released?.key ?? '');
  const isFree = stored !== undefined && JSON.parse(stored.body.toString('utf8')).owner === null;
  return asked.filter((one) => !isLock(one) || one === taken || (one === released && isFree));
}

/**
 * A publisher that comes more than a minute after the last heartbeat of the publisher that holds the lock: S3's time of the
 * lock is put back, and where it watches the lock for a minute of its own, the minute passes.
 */
export async function comingLater(
  fleet: Fleet,
  service: string,
  args: readonly string[],
  options?: Circumstances,
): Promise<Finished> {
  const publisher = startPublisher(fleet, args, options);
  publisher
    .line((line) => line.includes('has no heartbeat'))
    .then(
      () => publisher.process.kill('SIGUSR2'),
      () => undefined,
    );
  return await deadFor(fleet, service, 2 * 61_000, publisher.finished);
}

export interface Owner {
  id: string;
  command: string;
  deployment: string;
  who: string;
  pid: number;
  since: string;
}

/** The lock as it lies in the bucket. */
export function lockOf(
  { cloud }: Fleet,
  service: string,
): { sequence: number; owner: Owner | null } | undefined {
  const stored = cloud.object(BUCKET, keys.lock(ENV, service));
  return stored && JSON.parse(stored.body.toString('utf8'));
}

/** What publishers have written about a service: its lock, its desired state, its deployments, as ETags. */
export function recordOf({ cloud }: Fleet, service: string): Record<string, string | undefined> {
  const written = cloud
    .objects(BUCKET, `${keys.services(ENV)}${service}/`)
    .filter((key) => !key.includes('/reports/') && !key.includes('/instances/'));
  return Object.fromEntries(written.map((key) => [key, cloud.object(BUCKET, key)?.etag]));
}

/** A queue that hears what the agents hear, and keeps it. */
export async function tapTopic(fleet: Fleet): Promise<void> {
  const { sqs, sns, close } = clientsOf(fleet.cloud);
  const { QueueUrl } = await sqs.send(new CreateQueueCommand({ QueueName: TAP }));
  const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] });
  const { Attributes } = await sqs.send(asked);
  const statement = { Effect: 'Allow', Principal: '*', Action: 'sqs:SendMessage', Resource: '*' };
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
  const subscription = { TopicArn: fleet.topicArn, Protocol: 'sqs', Endpoint: Attributes?.QueueArn };
  await sns.send(new SubscribeCommand({ ...subscription, Attributes: { RawMessageDelivery: 'true' } }));
  close();
}
const TAP = 'tap';

/** What was announced as a deployment of this service, or with `kind` as that, in order. */
export function announcements(
  { cloud }: Fleet,
  service: string,
  kind = 'deploy',
): { deployment: string; sequence: number; version: string }[] {
  return cloud
    .messages(TAP)
    .map((jws) => JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString('utf8')))
    .filter((said) => said.kind === kind && said.service === service);
}
