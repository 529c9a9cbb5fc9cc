import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import type { Which } from '../support/cloud/fault-proxy.ts';
import type { RequestRecord } from '../support/cloud/requests.ts';
import { instanceKey, userIdOf } from '../support/cloud/sqs.ts';
import { deploy, push } from '../support/commands.ts';
import { logOf } from '../support/fleet/agent-log.ts';
import { BUCKET, ENV, type Instance } from '../support/fleet/fleet.ts';
import type { Finished } from '../support/programs.ts';
import { deploymentIn, payloadOf, storedText } from '../support/publisher/announcements.ts';
import { proved } from '../support/reliability.ts';
import { deleteQueue } from './support/cloud/topic.ts';
import { type FaultWorld, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf } from './support/fleet/by-hand.ts';

/**
 * AWS carries a write out, and its answer never arrives: the SDK tries again and meets its own work. Each answer is
 * lost twice, so the second try's is, too.
 */

const TIMES = 2;

let world: FaultWorld;
let instance: Instance;
let versions = 0;
let writes = 0;

beforeAll(async () => {
  world = await startFaultWorld();
  instance = await world.addInstance('i-0a1', cheapServices);
  await push(world.fleet, '1.0.0');
  await deploy(world.fleet, '1.0.0');
});
afterEach(() => world.proxy.clear());
afterAll(() => world?.stop());

const put =
  (fits: (key: string) => boolean): Which =>
  ({ operation, key = '' }) =>
    operation === 'PutObject' && fits(key);
const by =
  (accessKeyId: string, which: Which): Which =>
  (request) =>
    request.accessKeyId === accessKeyId && which(request);
const agents = (which: Which) => by(instanceKey('i-0a1'), which);
const called =
  (operation: string): Which =>
  (request) =>
    request.operation === operation;
/** From the second request that fits on. */
function fromSecond(which: Which): Which {
  let seen = 0;
  return (request) => {
    if (which(request)) seen += 1;
    return seen > 1 && which(request);
  };
}

const LOCK = keys.lock(ENV, 'payments');
const isLock = put((key) => key === LOCK);
const isDesired = put((key) => key === keys.desired(ENV, 'payments'));
const isDeployment = put((key) => key.endsWith('/deployment.jws'));
const isReport = put((key) => key.includes('/reports/'));

async function through(...args: string[]): Promise<Finished> {
  return await world.publisherThrough(...args).finished;
}

/** Pushes a version of its own, through the proxy if something is to be lost then. */
async function pushed(lost?: Which): Promise<{ version: string; result: Finished; met: number }> {
  versions += 1;
  const version = `1.1.${versions}`;
  const file = await world.fleet.pack(version);
  const rule = lost && world.proxy.meet({ kind: 'lose-answer' }, lost, TIMES);
  const result = await through('push', 'payments', version, file);
  return { version, result, met: rule?.met ?? 0 };
}

const lockNow = () => JSON.parse(storedText(world.fleet, LOCK)) as { sequence: number; owner: unknown };
const records = () =>
  world.fleet.cloud
    .objects(BUCKET, keys.deployments(ENV, 'payments'))
    .filter((key) => key.endsWith('/deployment.jws'))
    .map((key) => deploymentIn(storedText(world.fleet, key)));

test.each<[string, Which]>([
  ['a file', put((key) => key.endsWith('.tar.gz'))],
  ['the manifest', put((key) => key.endsWith('/manifest.jws'))],
  ['the index of the newest pushes', put((key) => key.endsWith('/index.json'))],
])(
  'a push whose answer to writing %s is lost has pushed one version, and it can be deployed',
  async (_title, lost) => {
    const { version, result, met } = await pushed(lost);
    expect(result.code, result.stderr).toBe(0);
    expect(met).toBe(TIMES);
    const index = JSON.parse(storedText(world.fleet, keys.index('payments'))) as {
      pushes: { version: string }[];
    };
    expect(index.pushes.filter((one) => one.version === version)).toHaveLength(1);
    await deploy(world.fleet, version);
    expect(await currentOf(instance)).toBe(version);
    writes += 1;
  },
);

const LOST: [string, () => Which][] = [
  ['taking the lock', () => isLock],
  ['releasing the lock', () => fromSecond(isLock)],
  ['creating the record of the deployment', () => isDeployment],
  ['settling the record of the deployment', () => fromSecond(isDeployment)],
  ['moving the desired state', () => isDesired],
  ['announcing', () => called('Publish')],
  ['making the reply queue', () => called('CreateQueue')],
  ["the agent's reports", () => agents(isReport)],
  ["the agent's last report", () => fromSecond(agents(isReport))],
  ["the agent's own record", () => agents(put((key) => key.includes('/instances/')))],
  ["the agent's deleting of a message", () => agents(called('DeleteMessage'))],
  ["the agent's replies", () => agents(called('SendMessageBatch'))],
];

test.each(LOST)('a deployment whose answer to %s is lost is one deployment', async (_title, lost) => {
  const { version } = await pushed();
  const before = { lock: lockNow().sequence, records: records().length };
  const rule = world.proxy.meet({ kind: 'lose-answer' }, lost(), TIMES);
  const result = await through('payments', version, '--env', 'dev');
  expect(result.code, result.stdout + result.stderr).toBe(0);
  await rule.reached(1);
  const { sequence, owner } = lockNow();
  expect({ sequence, owner }).toEqual({ sequence: before.lock + 1, owner: null });
  const record = records().find((one) => one.version === version);
  expect(records()).toHaveLength(before.records + 1);
  expect(record).toMatchObject({ status: 'succeeded', sequence, counts: { succeeded: 1 } });
  const desired = payloadOf(storedText(world.fleet, keys.desired(ENV, 'payments')));
  expect(desired).toMatchObject({ version, sequence, deployment: record?.deployment });
  expect(await currentOf(instance)).toBe(version);
  expect(timesLogged('accepted', record?.deployment)).toBe(1);
  expect(timesLogged('succeeded', record?.deployment)).toBe(1);
  const report = keys.report(ENV, 'payments', String(record?.deployment), userIdOf(instance.id));
  await world.fleet.cloud.until(() => stateAt(report) === 'succeeded');
  writes += 1;
});

const timesLogged = (what: string, deployment: unknown) =>
  logOf(instance).filter((entry) => entry.msg === what && entry.deployment === deployment).length;

function stateAt(key: string): unknown {
  const stored = world.fleet.cloud.object(BUCKET, key);
  return stored && JSON.parse(stored.body.toString('utf8')).state;
}

test('every write was recognised as one’s own', () => {
  expect(writes).toBe(3 + LOST.length);
  proved('lost-answer', `${writes} kinds of write, each answer lost ${TIMES} times: done once`);
});

test('a report that S3 does not take waits, the deployment does not, and it arrives once S3 is back', async () => {
  const { version } = await pushed();
  const rule = world.proxy.meet(
    { kind: 'cut' },
    agents((request: RequestRecord) => request.service === 's3' && isReport(request)),
  );
  const result = await world.fleet.publisher('payments', version, '--env', 'dev');
  expect(result.code, result.stdout + result.stderr).toBe(0);
  expect(await currentOf(instance)).toBe(version);
  const deployment = String(records().find((one) => one.version === version)?.deployment);
  const report = keys.report(ENV, 'payments', deployment, userIdOf(instance.id));
  expect(stateAt(report)).toBe(undefined);
  rule.lift();
  await world.fleet.cloud.until(() => stateAt(report) === 'succeeded');
  expect(timesLogged('succeeded', deployment)).toBe(1);
  proved('report-lost', 'S3 refuses reports: the service is deployed, the report waits and arrives');
});

test('a publisher that dies after its announcement, its reply queue deleted, delays no instance', async () => {
  const { cloud } = world.fleet;
  const { version } = await pushed();
  const queue = agentQueueName(ENV, instance.id);
  cloud.deliveries.hold((delivery) => delivery.queue === queue);
  const before = cloud.requests.length;
  const publisher = world.fleet.startPublisher('payments', version, '--env', 'dev');
  await cloud.until(
    (one) => called('Publish')(one) && one.status === 200 && cloud.requests.indexOf(one) >= before,
  );
  publisher.process.kill('SIGKILL');
  await publisher.finished;
  const { deployment, replyTo } = payloadOf(cloud.deliveries.held[0]?.body ?? '');
  await deleteQueue(cloud, String(replyTo));
  cloud.deliveries.release();
  const report = keys.report(ENV, 'payments', String(deployment), userIdOf(instance.id));
  await cloud.until(() => stateAt(report) === 'succeeded');
  expect(await currentOf(instance)).toBe(version);
  proved('report-lost', 'publisher killed, reply queue gone: deployed, and the ending is in the record');
});
