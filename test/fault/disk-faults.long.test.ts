import { watch } from 'node:fs';
import { mkdtemp, readdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { proved } from '../support/reliability.ts';
import { MB, manyFiles, packageOf, smallService, zeros } from './support/disk/small-disk.ts';
import { mountTmpfs } from './support/disk/tmpfs.ts';
import { numberOf, openJournal, PACKAGE_TYPES, stateOf } from './support/disk/world.ts';

/** Real file systems that run full, out of inodes or read-only (tmpfs, so root), under the package types and the journal. */

const smallDisk = async (options: string) =>
  mountTmpfs(join(await mkdtemp(join(tmpdir(), 'td-tmpfs-'))), options);
const noSpace = (message: RegExp) => ({
  code: 'NO_SPACE',
  message: expect.stringMatching(message),
  hint: expect.any(String),
});

test.each(PACKAGE_TYPES)(
  'a %s larger than the room there is, is refused before its download',
  async (type) => {
    const disk = await smallDisk('size=4m');
    const { prepare, store, expectUntouched, expectDeployable } = await smallService(type, disk);
    const [before, reads] = [disk.free(), store.reads.length];
    const large = packageOf(type, store, 6 * MB);
    await expect(prepare('2', large)).rejects.toMatchObject(noSpace(/^payments 2 needs .* are free$/));
    expect(store.reads).toHaveLength(reads);
    await expectUntouched(before);
    disk.remount('size=32m');
    await expectDeployable('2', large);
    proved('disk-full', `${type}: refused from its signed size, deployed once the disk was larger`);
  },
);

test.each(PACKAGE_TYPES)('a disk that another writer fills during the download of a %s', async (type) => {
  const disk = await smallDisk('size=16m');
  const { prepare, store, expectUntouched, expectDeployable } = await smallService(type, disk);
  const before = disk.free();
  const artifact = packageOf(type, store, 4 * MB);
  store.fault = (right) =>
    (async function* () {
      yield right.subarray(0, MB);
      disk.fill();
      yield right.subarray(MB);
    })();
  await expect(prepare('2', artifact)).rejects.toMatchObject(noSpace(/is full/));
  disk.makeRoom();
  await expectUntouched(before);
  store.fault = () => undefined;
  await expectDeployable('2', artifact);
  proved('disk-full', `${type}: full in mid-download, nothing left behind, deployed once there was room`);
});

test('an archive that unpacks to more than there is room for is refused while it is unpacked', async () => {
  const disk = await smallDisk('size=8m');
  const { prepare, store, expectUntouched, expectDeployable } = await smallService('archive', disk);
  const before = disk.free();
  const artifact = zeros(store, 4, 5 * MB);
  expect(artifact.size).toBeLessThan(MB);
  await expect(prepare('2', artifact)).rejects.toMatchObject(noSpace(/^the unpacked archive /));
  await expectUntouched(before);
  disk.remount('size=64m');
  await expectDeployable('2', artifact);
  proved('disk-full', 'archive: refused while unpacking, deployed once the disk was larger');
});

test('a disk that another writer fills while an archive is unpacked', async () => {
  const disk = await smallDisk('size=64m');
  const { dir, prepare, store, expectUntouched, expectDeployable } = await smallService('archive', disk);
  const before = disk.free();
  const artifact = zeros(store, 4, 5 * MB);
  const watcher = watch(join(dir, '.staging'), { recursive: true }, (_event, name) => {
    if (name?.includes('/release/lib/')) disk.fill();
  });
  await expect(prepare('2', artifact)).rejects.toMatchObject(noSpace(/is full/));
  watcher.close();
  disk.makeRoom();
  await expectUntouched(before);
  await expectDeployable('2', artifact);
  proved('disk-full', 'archive: full in mid-unpack, nothing left behind, deployed once there was room');
});

test('an archive of more files than there are inodes is refused, and gives back those it took', async () => {
  const disk = await smallDisk('size=16m,nr_inodes=80');
  const { prepare, store, expectUntouched, expectDeployable } = await smallService('archive', disk);
  const before = disk.free();
  const artifact = manyFiles(store, 200);
  await expect(prepare('2', artifact)).rejects.toMatchObject(noSpace(/^the unpacked archive .* inodes/));
  await expectUntouched(before);
  disk.remount('nr_inodes=1000');
  await expectDeployable('2', artifact);
  proved('inodes', 'archive of 200 files on 80 inodes: refused, deployed once there were more');
});

test.each(PACKAGE_TYPES)(
  'without a free inode no %s is prepared, nothing is switched, and what is current stays',
  async (type) => {
    const disk = await smallDisk('size=16m,nr_inodes=80');
    const { pkg, prepare, store, expectUntouched, expectDeployable } = await smallService(type, disk);
    const artifact = packageOf(type, store, 1000);
    const before = disk.free();
    disk.fillInodes();
    await expect(prepare('2', artifact)).rejects.toMatchObject(noSpace(/inodes/));
    // A rollback that finds the old release still current needs no inode.
    await pkg.switchTo('1');
    disk.makeRoom();
    await expectUntouched(before);
    await expectDeployable('2', artifact);

    disk.fillInodes();
    await expect(pkg.switchTo('1')).rejects.toMatchObject(noSpace(/inodes/));
    expect(await pkg.current()).toBe('2');
    disk.makeRoom();
    await pkg.switchTo('1');
    expect(await pkg.current()).toBe('1');
    proved('inodes', `${type}: no inode left, at prepare and at the switch`);
  },
);

test.each(PACKAGE_TYPES)(
  'on a read-only disk no %s is prepared or switched, and it goes on once it can be written again',
  async (type) => {
    const disk = await smallDisk('size=16m');
    const { pkg, prepare, store, expectUntouched, expectDeployable } = await smallService(type, disk);
    const artifact = packageOf(type, store, 1000);
    const before = disk.free();
    disk.remount('ro');
    await expect(prepare('2', artifact)).rejects.toMatchObject(noSpace(/read-only/));
    await expect(pkg.switchTo(null)).rejects.toMatchObject(noSpace(/read-only/));
    await expectUntouched(before);
    disk.remount('rw');
    await expectDeployable('2', artifact);
    proved('inodes', `${type}: read-only and back`);
  },
);

test('on a full disk the journal makes room of its own old lines, and appends on', async () => {
  const disk = await smallDisk('size=1m');
  const path = join(disk.dir, 'services', 'payments.journal');
  const journal = openJournal(path);
  for (const n of [1, 2, 3]) await journal.append(stateOf(n, 3000));
  disk.fill();
  for (let n = 4; n < 24; n += 1) {
    await journal.append(stateOf(n, 3000));
    expect(numberOf((await openJournal(path).load()).state)).toBe(n);
  }
  disk.makeRoom();
  await journal.append(stateOf(24));
  expect(await openJournal(path).load()).toEqual({ state: stateOf(24), quarantined: undefined });
  expect((await stat(path)).size).toBeLessThan(3000);
  proved('disk-full', 'journal: 20 appends on a full disk');
});

test('a full disk costs a journal without old lines no state, and it goes on once there is room', async () => {
  const disk = await smallDisk('size=1m');
  const path = join(disk.dir, 'services', 'payments.journal');
  const journal = openJournal(path);
  await journal.append(stateOf(1, 3000));
  disk.fill();
  for (const n of [2, 3, 4]) {
    await expect(journal.append(stateOf(n, 6000))).rejects.toMatchObject({
      ...{ code: 'INTERRUPTED', message: expect.stringContaining(path) },
      cause: { code: 'ENOSPC' },
    });
    expect((await openJournal(path).load()).state).toEqual(stateOf(1, 3000));
  }
  disk.makeRoom();
  await journal.append(stateOf(5));
  expect(await openJournal(path).load()).toEqual({ state: stateOf(5), quarantined: undefined });
  expect((await readdir(join(disk.dir, 'services'))).filter((name) => name.endsWith('.new'))).toEqual([]);
  proved('disk-full', 'journal: 3 refused appends on a full disk, none half done, on with room');
});

test('a journal that cannot be compacted for want of an inode is appended to, and compacted later', async () => {
  const disk = await smallDisk('size=8m,nr_inodes=30');
  const path = join(disk.dir, 'payments.journal');
  const journal = openJournal(path);
  await journal.append(stateOf(1));
  disk.fillInodes();
  for (let n = 2; n <= 8; n += 1) await journal.append(stateOf(n, 60_000));
  expect((await stat(path)).size).toBeGreaterThan(256 * 1024);
  disk.makeRoom();
  await journal.append(stateOf(9));
  expect((await stat(path)).size).toBeLessThan(64 * 1024);
  expect(await openJournal(path).load()).toEqual({ state: stateOf(9), quarantined: undefined });
  proved('inodes', 'journal: 7 appends without an inode, compacted once there was one');
});

test('a read-only disk costs the journal no state, and it is opened and read there', async () => {
  const disk = await smallDisk('size=1m');
  const path = join(disk.dir, 'payments.journal');
  const journal = openJournal(path);
  await journal.append(stateOf(1));
  disk.remount('ro');
  await expect(journal.append(stateOf(2))).rejects.toMatchObject({ cause: { code: 'EROFS' } });
  const reopened = openJournal(path);
  expect(await reopened.load()).toEqual({ state: stateOf(1), quarantined: undefined });
  await expect(reopened.append(stateOf(3))).rejects.toMatchObject({ cause: { code: 'EROFS' } });
  disk.remount('rw');
  await reopened.append(stateOf(4));
  expect(await openJournal(path).load()).toEqual({ state: stateOf(4), quarantined: undefined });
  proved('inodes', 'journal: read-only and back');
});
