import { randomBytes } from 'node:crypto';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';
import { expect, onTestFinished, test } from 'vitest';
import { logOf, nextLogged } from '../support/fleet/agent-log.ts';
import { ENV, type Fleet, startFleet } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { MB } from './support/disk/small-disk.ts';
import { mountTmpfs } from './support/disk/tmpfs.ts';
import {
  addServices,
  attempt,
  close,
  deploy,
  open,
  push,
  reached,
  type Settings,
} from './support/fleet/services.ts';
import { ask, expectSettled } from './support/fleet/settled.ts';
import { watchRecord } from './support/publisher/record-watch.ts';

/** The whole agent on small file systems of its own (tmpfs, so root): full, and read-only. */

/** An instance that runs version 1.0.0, with its directory `small` (within its own) on a small disk. */
async function instanceOn(
  { small, options }: { small: 'state' | 'payments'; options: string },
  settings: Settings = {},
) {
  const fleet = await startFleet();
  onTestFinished(() => fleet.stop());
  const watch = watchRecord(fleet.cloud);
  const mounted: ReturnType<typeof mountTmpfs>[] = [];
  const addInstance: Fleet['addInstance'] = (id, services, more) =>
    fleet.addInstance(
      id,
      (instance) => {
        mounted.push(mountTmpfs(join(instance.dir, small), options));
        return services?.(instance) ?? {};
      },
      more,
    );
  const { payments: service } = await addServices({ ...fleet, addInstance }, 'i-0a1', { payments: settings });
  const [disk] = mounted;
  if (!disk) throw new Error('nothing was mounted');
  await push(service, '1.0.0');
  await deploy(service, '1.0.0');
  const before = await ask(service);
  expect(before?.version).toBe('1.0.0');
  const expectUnnoticed = async () => expect(await ask(service)).toEqual(before);
  return { fleet, service, instance: service.instance, disk, watch, expectUnnoticed };
}

const announce = (fleet: Fleet, version: string) =>
  fleet.startPublisher('payments', version, '--env', ENV, '--output', 'json');

/** Pushes a version with so many bytes that cannot be packed any smaller. */
async function pushLarge(fleet: Fleet, version: string, bytes: number): Promise<void> {
  const content = join(fleet.dir, `large-${version}`);
  await mkdir(content);
  await cp(
    new URL('../support/fleet/sample-service/server.mjs', import.meta.url),
    join(content, 'server.mjs'),
  );
  await writeFile(join(content, 'behaviour.json'), JSON.stringify({ version, healthStatus: 200 }));
  await writeFile(join(content, 'blob'), randomBytes(bytes));
  const file = join(fleet.dir, `payments-${version}.tar.gz`);
  await create({ gzip: true, file, cwd: content, portable: true }, ['server.mjs', 'behaviour.json', 'blob']);
  const { code, stderr } = await fleet.publisher('push', 'payments', version, file);
  expect(code, stderr).toBe(0);
}

test('a version too large for the disk fails before anything stops, and is deployed once the disk is larger', async () => {
  const { fleet, service, disk, watch, expectUnnoticed } = await instanceOn({
    small: 'payments',
    options: 'size=8m',
  });
  await pushLarge(fleet, '2.0.0', 6 * MB);
  // The agent removes what is staged in the background: until then less is free.
  const staged = () => readdir(join(disk.dir, '.staging'));
  await expect.poll(staged).toEqual([]);
  const free = disk.free();
  const { finished, report } = await attempt(service, '2.0.0');
  expect(finished.code).toBe(1);
  expect(report).toMatchObject({
    ...{ state: 'failed', step: 'prepare', changed: false, version: '2.0.0' },
    error: { code: 'NO_SPACE', message: expect.stringMatching(/^payments 2\.0\.0 needs .* are free$/) },
  });
  await expectUnnoticed();
  await expectSettled(service, { version: '1.0.0', watch });
  await expect.poll(staged).toEqual([]);
  expect(disk.free()).toEqual(free);

  disk.remount('size=64m');
  await deploy(service, '2.0.0');
  await expectSettled(service, { version: '2.0.0', watch });
  proved('disk-full', 'service directory of 8 MB: failed with NO_SPACE, space given back, deployed on 64 MB');
});

test('an announcement that cannot be journalled comes again until it can be', async () => {
  const { fleet, service, instance, disk, watch, expectUnnoticed } = await instanceOn({
    small: 'state',
    options: 'size=4m',
  });
  await push(service, '2.0.0');
  disk.remount('ro');
  const refused = nextLogged(instance, ({ msg }) => msg.includes('cannot record'));
  const publisher = announce(fleet, '2.0.0');
  expect((await refused).err?.message).toContain('EROFS');
  await expectUnnoticed();
  // The publisher has waited long enough for a silent instance by then; its message has not.
  expect((await publisher.finished).code).toBe(3);
  await expectUnnoticed();
  const done = nextLogged(instance, ({ msg }) => msg === 'succeeded');
  disk.remount('rw');
  await done;
  await expectSettled(service, { version: '2.0.0', watch });
  proved('inodes', 'state directory read-only: the announcement came again, and was carried out');
});

test('an agent starts on a read-only state directory, and deploys once it can be written', async () => {
  const { fleet, service, instance, disk, watch, expectUnnoticed } = await instanceOn({
    small: 'state',
    options: 'size=4m',
  });
  await push(service, '2.0.0');
  await fleet.stopAgent(instance);
  disk.remount('ro');
  await fleet.startAgent(instance);
  await expectUnnoticed();
  disk.remount('rw');
  await deploy(service, '2.0.0');
  await expectSettled(service, { version: '2.0.0', watch });
  proved('inodes', 'the agent started on a read-only state directory');
});

test('a deployment halts while its state cannot be written, without a verdict, and goes on by itself', async () => {
  const { fleet, service, instance, disk, watch, expectUnnoticed } = await instanceOn(
    { small: 'state', options: 'size=4m' },
    { hooks: { beforeStop: ['drain'] } },
  );
  await push(service, '2.0.0');
  await close(service, 'drain');
  const publisher = announce(fleet, '2.0.0');
  await reached(service, 'drain');
  disk.remount('ro');
  const halted = nextLogged(instance, ({ msg }) => msg === 'the deployment could not continue; retrying');
  await open(service, 'drain');
  expect((await halted).err?.message).toContain('EROFS');
  await expectUnnoticed();
  disk.remount('rw');
  const { code, stdout, stderr } = await publisher.finished;
  expect(code, stdout + stderr).toBe(0);
  await expectSettled(service, { version: '2.0.0', watch });
  proved('inodes', 'state directory read-only in mid-deploy: halted, then succeeded, one ending');
});

test('a deployment that has begun ends well on a full state directory', async () => {
  const { fleet, service, instance, disk, watch } = await instanceOn(
    { small: 'state', options: 'size=2m' },
    { hooks: { beforeStop: ['drain'] } },
  );
  await push(service, '2.0.0');
  await close(service, 'drain');
  const publisher = announce(fleet, '2.0.0');
  await reached(service, 'drain');
  disk.fill();
  await open(service, 'drain');
  const { code, stdout, stderr } = await publisher.finished;
  expect(code, stdout + stderr).toBe(0);
  await expectSettled(service, { version: '2.0.0', watch });
  expect(logOf(instance).filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([]);
  proved('disk-full', 'state directory full in mid-deploy: succeeded, without any room being made');
});

test('a version that fails while the state directory is full is rolled back', async () => {
  const { fleet, service, instance, disk, watch } = await instanceOn(
    { small: 'state', options: 'size=2m' },
    { check: { deadline: '10s' } },
  );
  await push(service, '2.0.0', { healthStatus: 500 });
  await push(service, '3.0.0');
  const checking = nextLogged(instance, ({ msg }) => msg === 'checking');
  const publisher = announce(fleet, '2.0.0');
  await checking;
  disk.fill();
  expect((await publisher.finished).code).toBe(1);
  await expectSettled(service, { version: '1.0.0', watch });
  expect([...watch.endings.values()].flat().at(-1)).toMatch(/^rolled-back /);
  // And on the same full disk, the next version.
  await deploy(service, '3.0.0');
  await expectSettled(service, { version: '3.0.0', watch });
  proved('disk-full', 'state directory full: one version rolled back and the next one deployed on it');
});
