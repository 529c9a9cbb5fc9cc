import { cpSync } from 'node:fs';
import { mkdir, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentQueueName } from '../../shared/names.ts';
import { logOf, nextLogged } from '../support/agent-log.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet.ts';
import { proved } from '../support/reliability.ts';
import { type RecordWatch, watchRecord } from './support/record-watch.ts';
import {
  addServices,
  attempt,
  close,
  deploy,
  open,
  push,
  reached,
  type Service,
} from './support/services.ts';
import { ask, expectSettled } from './support/settled.ts';

/** The whole agent is started on state that was damaged while it was down, or that is another instance's. */

let fleet: Fleet;
let watch: RecordWatch;
let service: Service;

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  ({ payments: service } = await addServices(fleet, 'i-0a1', {
    payments: { hooks: { beforeStop: ['drain'] } },
  }));
  await push(service, '1.0.0');
  await push(service, '2.0.0');
  await deploy(service, '1.0.0');
  await deploy(service, '2.0.0');
});
afterAll(() => fleet?.stop());

const journal = () => join(service.instance.dir, 'state', 'services', 'payments.journal');
const current = () => join(service.dir, 'current');
const downloads = () =>
  fleet.cloud.requests.filter(({ operation, key }) => operation === 'GetObject' && key?.endsWith('.tar.gz'))
    .length;

/** The version that does not run. */
async function other(): Promise<string> {
  return (await ask(service))?.version === '1.0.0' ? '2.0.0' : '1.0.0';
}

async function restartAgent(meanwhile: () => Promise<void>): Promise<void> {
  await fleet.stopAgent(service.instance, 'SIGKILL');
  await meanwhile();
  await fleet.startAgent(service.instance);
}

/** Whole, current and answering, and nothing is left over. */
async function expectRuns(version: string): Promise<void> {
  expect(await readlink(current())).toBe(`releases/${version}`);
  const record = await readFile(join(service.dir, 'releases', version, '.release.json'), 'utf8');
  expect(JSON.parse(record)).toMatchObject({ version });
  expect((await ask(service))?.version).toBe(version);
  expect(await readdir(join(service.dir, '.staging'))).toEqual([]);
}

const half = (bytes: Buffer) => Math.floor(bytes.length / 2);
const flip = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ 0x01, at);
  return copy;
};

const DAMAGED_JOURNALS: [name: string, damage: (bytes: Buffer) => Buffer, said: boolean][] = [
  ['cut off within its last record', (bytes) => bytes.subarray(0, bytes.length - 30), true],
  ['cut off half-way', (bytes) => bytes.subarray(0, half(bytes)), true],
  ['empty', () => Buffer.alloc(0), false],
  ['altered in its last record', (bytes) => flip(bytes, bytes.length - 100), true],
  ['all zeros', (bytes) => Buffer.alloc(bytes.length), true],
];

test('on a damaged journal the agent starts, says so, and converges without a download', async () => {
  const before = downloads();
  for (const [name, damage, said] of DAMAGED_JOURNALS) {
    const version = await other();
    await restartAgent(async () => {
      await writeFile(journal(), damage(await readFile(journal())));
      const { code, stderr } = await fleet.publisher('payments', version, '--env', ENV, '--no-wait');
      expect(code, stderr).toBe(0);
    });
    await service.instance.agent?.line(
      (line) => line.includes(version) && line.includes('"msg":"succeeded"'),
    );
    await expectRuns(version);
    const quarantined = logOf(service.instance).find(({ msg }) => msg.includes('was set aside'));
    expect(quarantined !== undefined, name).toBe(said);
    expect(downloads(), name).toBe(before);
  }
  proved('state-files', `agent: started and converged on ${DAMAGED_JOURNALS.length} damaged journals`);
}, 180_000);

test('a current release whose record is cut off is made whole by a deploy of its version', async () => {
  const version = (await ask(service))?.version ?? '';
  const record = join(service.dir, 'releases', version, '.release.json');
  await restartAgent(async () => writeFile(record, (await readFile(record)).subarray(0, 60)));
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', 'agent: started with the record of the current release cut off');
});

const GARBAGE: [name: string, make: (path: string) => Promise<unknown>][] = [
  ['a file', (path) => writeFile(path, 'releases/1.0.0')],
  ['a directory', (path) => mkdir(path)],
  ['a link that leaves the directory', (path) => symlink('../../../../../etc', path)],
  ['an absolute link elsewhere', (path) => symlink('/etc/passwd', path)],
];

test('where current is garbage nothing is changed, the reason is told, and moving it away helps', async () => {
  const before = await ask(service);
  const good = await readlink(current());
  const version = await other();
  await restartAgent(() => rm(current()));
  for (const [name, make] of GARBAGE) {
    await make(current());
    const { finished, report } = await attempt(service, version);
    expect(finished.code, name).toBe(1);
    expect(report, name).toMatchObject({
      ...{ state: 'failed', changed: false },
      error: { code: 'RELEASE_CONFLICT', message: expect.stringContaining('current') },
    });
    expect(await ask(service), name).toEqual(before);
    await rm(current(), { recursive: true });
  }
  await symlink(good, current());
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', `agent: ${GARBAGE.length} kinds of garbage in the place of current`);
}, 180_000);

test('where current names a release that is not there, the next deploy mends it', async () => {
  await restartAgent(async () => {
    await rm(current());
    await symlink('releases/9.9.9', current());
  });
  const version = await other();
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', 'agent: current named a release that is not there');
});

test('garbage in the pid file stops neither the agent nor the service', async () => {
  const pidFile = join(service.dir, 'service.pid');
  const [pid, before] = [await readFile(pidFile), await ask(service)];
  await restartAgent(() => writeFile(pidFile, '-1 garbage\0'));
  const { state } =
    service.instance.agent?.process.exitCode === null ? { state: 'runs' } : { state: 'ended' };
  expect(state).toBe('runs');
  expect(await ask(service)).toEqual(before);
  await writeFile(pidFile, pid);
  const version = await other();
  await deploy(service, version);
  await expectRuns(version);
  proved('state-files', 'agent: started with garbage in the pid file');
});

test('an instance made of an image of another keeps the releases, forgets the rest, and converges', async () => {
  const version = await other();
  await close(service, 'drain');
  const publisher = fleet.startPublisher('payments', version, '--env', ENV, '--output', 'json');
  await reached(service, 'drain');
  // In the middle of a deployment, with reports not delivered.
  const image = join(fleet.dir, 'image');
  const perMachine = ['service.pid', 'service.log', 'hooks.log', 'hooks.lock', 'gate-drain', 'reached-drain'];
  const copy = (from: string, to: string) =>
    cpSync(from, to, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !perMachine.includes(basename(path)),
    });
  copy(join(service.instance.dir, 'state'), join(image, 'state'));
  copy(service.dir, join(image, 'payments'));
  await open(service, 'drain');
  expect((await publisher.finished).code).toBe(0);

  const before = downloads();
  const addInstance: Fleet['addInstance'] = (id, services, more) =>
    fleet.addInstance(
      id,
      (instance) => {
        copy(image, instance.dir);
        return services?.(instance) ?? {};
      },
      more,
    );
  const { payments: clone } = await addServices({ ...fleet, addInstance }, 'i-0c1', { payments: {} });
  const said = logOf(clone.instance).find(({ msg }) => msg.includes('came from another instance'));
  expect(said).toMatchObject({ level: 'warn', from: 'i-0a1' });
  await clone.instance.agent?.line((line) => line.includes('"msg":"succeeded"'));
  expect((await ask(clone))?.version).toBe(version);
  expect(await readlink(join(clone.dir, 'current'))).toBe(`releases/${version}`);
  expect(downloads()).toBe(before);
  expect(fleet.cloud.queues()).toEqual(
    expect.arrayContaining(['i-0a1', 'i-0c1'].map((id) => agentQueueName(ENV, id))),
  );
  // One ending of its own, and the other deploys on.
  await expectSettled(clone, { version, watch });
  await expectRuns(version);
  const next = await other();
  const answered = nextLogged(clone.instance, ({ msg }) => msg === 'succeeded');
  await deploy(service, next);
  await answered;
  expect((await ask(clone))?.version).toBe(next);
  proved('clone', 'an image taken in mid-deploy: 0 downloads, its own queue, one ending');
});
