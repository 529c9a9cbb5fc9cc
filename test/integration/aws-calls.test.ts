import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deploy } from '../../publisher/commands/deploy.ts';
import { push } from '../../publisher/commands/push.ts';
import type { RequestRecord } from '../support/cloud/requests.ts';
import { type CountedType, startCountedAgent } from '../support/fleet/counted-agent.ts';
import { tgz } from '../support/host/tarball.ts';
import { temporaryDirectory } from '../support/host/temporary.ts';
import { ALL_AT_ONCE } from '../support/publisher/rollout-options.ts';
import { HandClock, openStage, type Stage } from '../support/publisher/stage.ts';
import { countedCalls } from '../support/scale/counted.ts';
import { agentOfDeployment, mostReceives, publisherOfDeployment, times } from '../support/scale/formula.ts';
import { jarText } from '../support/shared/zip.ts';

/**
 * What one deployment to three instances asks of AWS, counted exactly: the real agents and the real publisher, in one
 * process, on clocks that stand still. Only how many replies one receive returns depends on how fast they come.
 */

const INSTANCES = ['i-1', 'i-2', 'i-3'];

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(async () => await stage.close());

const byInstance = ({ accessKeyId }: RequestRecord) => accessKeyId?.startsWith('session-') ?? false;

/** `3 GetObject desired.jws` and the like, sorted; ids and digests are left out. */
function counted(requests: readonly RequestRecord[]): string[] {
  const counts = new Map<string, number>();
  for (const { operation, key, queue } of requests) {
    const name = key
      ?.replace(/AROA[^/]*/, 'USERID')
      .split('/')
      .slice(-2)
      .map((part) => (/^([0-9A-Z]{26}|[0-9a-f]{64})$/.test(part) ? 'ID' : part))
      .join('/');
    const where = name ?? (queue?.includes('-reply-') ? 'reply queue' : queue && 'own queue') ?? '';
    const what = `${operation} ${where}`.trim();
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return [...counts].map(([what, count]) => `${count} ${what}`).sort();
}

async function packageOf(type: CountedType, version: string): Promise<string> {
  const path = join(await temporaryDirectory(), `payments-${version}.${type === 'jar' ? 'jar' : 'tar.gz'}`);
  await writeFile(path, type === 'jar' ? jarText(version) : tgz([{ path: 'app', body: version }]));
  return path;
}

const open = () => stage.open(new HandClock());

async function pushed(type: CountedType, version: string): Promise<void> {
  const files = [await packageOf(type, version)];
  await push(await open(), { service: 'payments', version, files, configs: [] });
}

/** Each agent has written its record and read the desired state, and waits for the next message. */
async function settled(from: number): Promise<readonly RequestRecord[]> {
  const since = () => stage.cloud.requests.slice(from);
  await expect
    .poll(() => {
      const ended = since().filter((request) => byInstance(request) && request.status !== undefined);
      const reads = ended.filter(({ key }) => key?.endsWith('/desired.jws'));
      const records = ended.filter(({ key }) => key?.includes('/instances/'));
      const waits = stage.cloud.requests.filter(
        (request) => byInstance(request) && request.operation === 'ReceiveMessage' && !request.status,
      );
      return [reads.length, records.length, waits.length];
    })
    .toEqual(INSTANCES.map(() => INSTANCES.length));
  return since();
}

/** What the agents ask for, besides the replies. */
const AGENTS = [
  '3 GetObject payments/desired.jws',
  '3 GetQueueUrl reply queue',
  '3 PutObject instances/USERID',
  '6 DeleteMessage own queue',
  '6 PutObject reports/USERID',
  '6 ReceiveMessage own queue',
];

/** What the publisher asks for, besides receiving the replies. */
const PUBLISHER = [
  '1 CreateQueue reply queue',
  '1 DeleteQueue reply queue',
  '1 GetObject 1.1.0/manifest.jws',
  '1 GetObject ID/cancel.jws',
  '1 GetObject ID/deployment.jws',
  '1 GetObject dev/changes.json',
  '1 GetObject payments/line.json',
  '1 GetObject payments/lock.json',
  // Under the lock: `gc` may have deleted it before.
  '1 HeadObject 1.1.0/manifest.jws',
  '1 PutObject dev/changes.json',
  '1 PutObject payments/desired.jws',
  '2 Publish',
  '2 PutObject ID/deployment.jws',
  '2 PutObject payments/lock.json',
  '3 GetObject dev/pause.jws',
  '3 GetObject instances/USERID',
  '3 GetObject payments/pause.jws',
  '3 ListObjectsV2',
  '4 GetObject payments/desired.jws',
];

test.each([
  // Eleven replies of an archive do not fit into two requests.
  { type: 'archive', file: 'payments-1.1.0.tar.gz', sends: 9 },
  { type: 'jar', file: 'payments-1.1.0.jar', sends: 6 },
] as const)('a deployment of type $type to three instances', async ({ type, file, sends }) => {
  for (const instance of INSTANCES) await startCountedAgent(stage, instance, type);
  await expect
    .poll(() => stage.cloud.requests.filter(({ operation }) => operation === 'ReceiveMessage').length)
    .toBe(INSTANCES.length);
  await pushed(type, '1.0.0');
  await pushed(type, '1.1.0');
  const options = { ...ALL_AT_ONCE, service: 'payments' };
  const before = stage.cloud.requests.length;
  expect(await deploy(await open(), { ...options, version: '1.0.0' })).toBe(0);
  await settled(before);

  const from = stage.cloud.requests.length;
  expect(await deploy(await open(), { ...options, version: '1.1.0' })).toBe(0);
  const requests = await settled(from);
  const own = [`${sends} SendMessageBatch reply queue`, `3 GetObject ID/${file}`];
  expect(counted(requests.filter(byInstance))).toEqual([...AGENTS, ...own].sort());
  const published = requests.filter((request) => !byInstance(request));
  const receives = published.filter(({ operation }) => operation === 'ReceiveMessage');
  expect(counted(published.filter((request) => !receives.includes(request)))).toEqual(PUBLISHER);
  expect(countedCalls(requests.filter(byInstance))).toEqual(times(agentOfDeployment(type), INSTANCES.length));
  const { 'SQS ReceiveMessage': received = 0, ...rest } = countedCalls(published);
  expect(rest).toEqual(publisherOfDeployment(INSTANCES.length));
  expect(received).toBeLessThanOrEqual(mostReceives(INSTANCES.length, type));
  // A receive returns when a reply comes, and may then return the replies of several instances. Many replies have
  // another one begin beside it, which ends when few come.
  expect(receives.length).toBeGreaterThan(0);
  expect(receives.length).toBeLessThanOrEqual(2 * sends + 1);
});
