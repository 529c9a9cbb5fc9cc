import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { agentQueueName, keys } from '../../shared/names.ts';
import { type FakeEc2, startFakeEc2 } from '../support/cloud/fake-ec2.ts';
import { push } from '../support/commands.ts';
import { BUCKET, type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';
import { type Program, PUBLISHER } from '../support/programs.ts';

/**
 * `gc` as people run it: the program, with the policy of its role, in an environment that has lost instances, a publisher
 * and a day. Each test depends on those before it.
 */

const DAY_AND_MORE_MS = 26 * 3_600_000;
const [STAYS, LOST, STOPPED, NEW] = ['i-0000000a', 'i-0000000b', 'i-0000000c', 'i-0000000d'] as const;

let fleet: Fleet;
let ec2: FakeEc2;
let stays: Instance;
let stopped: Instance;

const quick = (instance: Instance) => ({ payments: sampleService(instance, { watch: '0s' }) });
const deploy = (version: string, ...args: string[]) =>
  fleet.startPublisher('payments', version, '-e', 'dev', ...args);
const gc = (...args: string[]) =>
  fleet.start([PUBLISHER, 'gc', '-e', 'dev', ...args], {
    env: { ...fleet.env, ...fleet.cloud.env('gc'), ...ec2.env },
    cwd: fleet.publisherDir,
  });
const queues = () => fleet.cloud.queues().sort();
const versions = () =>
  fleet.cloud
    .objects(BUCKET, 'artifacts/payments/')
    .filter((key) => key.endsWith('/manifest.jws'))
    .map((key) => key.split('/')[2]);
const repliesOf = () => queues().filter((name) => name.includes('-reply-'));
async function kill(program: Program): Promise<void> {
  program.process.kill('SIGKILL');
  await program.finished;
}

beforeAll(async () => {
  [fleet, ec2] = await Promise.all([startFleet(), startFakeEc2()]);
  Object.assign(fleet.env, ec2.env);
  const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8'));
  Object.assign(config.environments.dev, { ec2: true, retention: { keepVersions: 3 } });
  await writeFile(file, stringify(config));
  let lost: Instance;
  [stays, lost, stopped] = (await Promise.all(
    [STAYS, LOST, STOPPED].map((id) => fleet.addInstance(id, quick)),
  )) as [Instance, Instance, Instance];
  for (const id of [STAYS, LOST, STOPPED]) ec2.states.set(id, 'running');
  for (const version of ['0.9.0', '1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0', '1.5.0', '1.6.0']) {
    await push(fleet, version);
  }
  for (const version of ['1.0.0', '1.1.0']) {
    const { code, stdout, stderr } = await deploy(version).finished;
    expect(code, stdout + stderr).toBe(0);
  }
  await fleet.stopAgent(lost, 'SIGKILL');
  await fleet.stopAgent(stopped, 'SIGKILL');
  ec2.states.set(LOST, 'terminated').set(STOPPED, 'stopped');
}, 180_000);
afterAll(async () => {
  await Promise.all([fleet?.stop(), ec2?.stop()]);
});

test('the day after, a dry run shows what is left of the instance and of the publisher, and deletes nothing', async () => {
  const killed = deploy('1.2.0');
  await killed.line((line) => line.includes(STAYS));
  await kill(killed);
  await expect.poll(async () => (await fleet.ask(stays))?.version, { timeout: 30_000 }).toBe('1.2.0');
  expect(repliesOf()).toHaveLength(1);
  fleet.cloud.advanceClock(DAY_AND_MORE_MS);
  const before = [queues(), fleet.cloud.objects(BUCKET)];
  const { code, stdout, stderr } = await gc().finished;
  expect(code, stdout + stderr).toBe(0);
  expect([queues(), fleet.cloud.objects(BUCKET).filter((key) => !key.endsWith('lock.json'))]).toEqual([
    before[0],
    before[1]?.filter((key) => !key.endsWith('lock.json')),
  ]);
  for (const name of [agentQueueName('dev', LOST), ...repliesOf(), 'payments 1.3.0'])
    expect(stdout).toContain(name);
  expect(stdout).not.toContain(agentQueueName('dev', STAYS));
  expect(stdout).not.toContain(agentQueueName('dev', STOPPED));
  expect(stdout).toContain('--yes deletes');
});

test('killed after its first deletion and repeated beside a deployment of a version that it wants to delete and a new instance: all three come to a good end', async () => {
  const first = gc('--yes');
  await fleet.cloud.until(({ operation }) => operation === 'DeleteQueue' || operation === 'Unsubscribe');
  await kill(first);

  ec2.states.set(NEW, 'running');
  const second = gc('--yes');
  const deploying = deploy('1.3.0', '--allow-missing', '1');
  const starting = fleet.addInstance(NEW, quick);
  const [cleaned, deployed, added] = await Promise.all([second.finished, deploying.finished, starting]);
  expect([0, 1], cleaned.stdout + cleaned.stderr).toContain(cleaned.code);
  const text = deployed.stdout + deployed.stderr;
  if (deployed.code !== 0) expect(text).toMatch(/there is no version 1.3.0|was deleted meanwhile|locked by/);

  const last = await gc('--yes').finished;
  expect(last.code, last.stdout + last.stderr).toBe(0);
  const running = (await fleet.ask(stays))?.version ?? '';
  expect(versions(), text).toContain(running);
  await expect.poll(async () => (await fleet.ask(added))?.version, { timeout: 60_000 }).toBe(running);
  expect(queues().filter((name) => !name.includes('-reply-'))).toEqual(
    [STAYS, STOPPED, NEW].map((id) => agentQueueName('dev', id)).sort(),
  );
  expect(repliesOf()).toEqual([]);
}, 120_000);

test('afterwards nothing is left to do, the versions that are wanted are there, and the next deployment waits for nobody who is gone', async () => {
  const again = await gc().finished;
  expect(again.code, again.stdout + again.stderr).toBe(0);
  expect(again.stdout).toMatch(/^0 to delete/m);
  expect(versions()).toEqual(expect.arrayContaining(['1.2.0', '1.4.0', '1.5.0', '1.6.0']));
  expect(versions()).not.toContain('0.9.0');
  const records = fleet.cloud
    .objects(BUCKET, keys.services('dev'))
    .filter((key) => key.includes('/instances/'));
  expect(records.filter((key) => key.includes(LOST))).toEqual([]);
  expect(records.filter((key) => key.includes(STAYS))).not.toEqual([]);
  ec2.states.set(STOPPED, 'running');
  await fleet.startAgent(stopped);
  const { code, stdout, stderr } = await deploy('1.6.0').finished;
  expect(code, stdout + stderr).toBe(0);
  expect((await fleet.ask(stopped))?.version).toBe('1.6.0');
}, 120_000);
