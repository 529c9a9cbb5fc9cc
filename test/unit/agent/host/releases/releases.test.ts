import {
  chmod,
  lstat,
  mkdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { PackageType } from '../../../../../agent/deploy/ports.ts';
import { TriggerDeployError } from '../../../../../shared/errors.ts';
import { calm } from '../../../../support/host/clock.ts';
import { holdOpen, jarService } from '../../../../support/host/jars.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';
import { jarText, ZIP } from '../../../../support/shared/zip.ts';

const names = async (jar: PackageType) => (await jar.releases()).map(({ version }) => version).sort();
const read = (...path: string[]) => readFile(join(...path), 'utf8');

test('a release that is complete is not downloaded again', async () => {
  const { store, prepare } = await jarService();
  await prepare('1.4.2');
  expect(await prepare('1.4.2')).toEqual({ downloaded: 0 });
  expect(store.reads).toHaveLength(1);
});

test('another artifact under an existing version is a conflict, and the existing release stays', async () => {
  const { dir, store, prepare } = await jarService();
  await prepare('1.4.2');
  await expect(prepare('1.4.2', [store.put('payments.jar', jarText('other'))])).rejects.toMatchObject({
    code: 'RELEASE_CONFLICT',
  });
  expect(await read(dir, 'releases', '1.4.2', 'payments.jar')).toBe(jarText('jar 1.4.2'));
});

test('after a failure a release is made again', async () => {
  const { dir, store, prepare, versions } = await jarService();
  await prepare('1.4.2');
  await writeFile(join(dir, 'releases', '1.4.2', 'payments.jar'), 'damaged');
  expect(await prepare('1.4.2', versions('1.4.2'), true)).toEqual({ downloaded: 9 + ZIP.length });
  expect(await read(dir, 'releases', '1.4.2', 'payments.jar')).toBe(jarText('jar 1.4.2'));
  expect(store.reads).toHaveLength(2);
  expect(await namesBelow(join(dir, '.staging'))).toEqual([]);
});

test('a release that a process has open is not replaced', async () => {
  const { dir, prepare, versions } = await jarService();
  await prepare('1.4.2');
  await holdOpen(join(dir, 'releases', '1.4.2', 'payments.jar'));
  const { ino } = await stat(join(dir, 'releases', '1.4.2'));
  await prepare('1.4.2', versions('1.4.2'), true);
  expect((await stat(join(dir, 'releases', '1.4.2'))).ino).toBe(ino);
});

test('a directory without a record is not a release: it is made again, and never current', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1.4.1');
  await prepare('1.4.2');
  await writeFile(join(dir, 'releases', '1.4.2', '.release.json'), '{"v":1,"version":"1.4.2"');
  await mkdir(join(dir, 'releases', '1.4.3'));
  await rename(join(dir, 'releases', '1.4.1'), join(dir, 'releases', '1.4.4'));
  await symlink('1.4.4', join(dir, 'releases', '1.4.5'));
  expect(await jar.releases()).toEqual([]);
  for (const version of ['1.4.2', '1.4.3', '1.4.4', '1.4.5', '1.4.6', '../1.4.4']) {
    await expect(jar.switchTo(version)).rejects.toMatchObject({ code: 'RELEASE_INCOMPLETE' });
  }
  expect(await jar.current()).toBeNull();
  await prepare('1.4.2');
  expect(await names(jar)).toEqual(['1.4.2']);
});

test('a current release with a damaged record gets a new one after its files are verified', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1.4.2');
  await jar.switchTo('1.4.2');
  const release = join(dir, 'releases', '1.4.2');
  const { ino } = await stat(release);
  await writeFile(join(release, '.release.json'), '{');
  expect(await jar.releases()).toEqual([]);
  await prepare('1.4.2');
  expect(await names(jar)).toEqual(['1.4.2']);
  expect((await stat(release)).ino).toBe(ino);
  await rm(join(release, '.release.json'));
  await writeFile(join(release, 'payments.jar'), 'damaged');
  await expect(prepare('1.4.2')).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST_MISMATCH' });
  expect(await jar.releases()).toEqual([]);
});

test('current is a relative link that can be switched repeatedly, and removed', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1.4.1');
  await prepare('1.4.2');
  for (const version of ['1.4.1', '1.4.2', '1.4.2']) {
    await jar.switchTo(version);
    expect(await jar.current()).toBe(version);
    expect(await readlink(join(dir, 'current'))).toBe(`releases/${version}`);
    expect(await read(dir, 'current', 'payments.jar')).toBe(jarText(`jar ${version}`));
  }
  await jar.switchTo(null);
  await jar.switchTo(null);
  expect(await jar.current()).toBeNull();
});

test('a current that is not a link to a release is neither read nor replaced', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1.4.1');
  for (const target of ['/etc', '../other/releases/1.4.1', 'releases', 'releases/1.4.1/..', 'releases/a/b']) {
    await symlink(target, join(dir, 'current'));
    await expect(jar.current()).rejects.toMatchObject({ code: 'RELEASE_CONFLICT' });
    await expect(jar.switchTo('1.4.1')).rejects.toMatchObject({ code: 'RELEASE_CONFLICT' });
    await expect(jar.switchTo(null)).rejects.toMatchObject({ code: 'RELEASE_CONFLICT' });
    expect(await readlink(join(dir, 'current'))).toBe(target);
    await rm(join(dir, 'current'));
  }
  await mkdir(join(dir, 'current'));
  await expect(jar.switchTo('1.4.1')).rejects.toMatchObject({ code: 'RELEASE_CONFLICT' });
});

test('a current with the full path of its release is read', async () => {
  const { dir, jar, prepare } = await jarService();
  await prepare('1.4.1');
  await symlink(join(dir, 'releases', '1.4.1'), join(dir, 'current'));
  expect(await jar.current()).toBe('1.4.1');
});

test('a download that fails changes nothing, and frees its space', async () => {
  const { dir, store, jar, prepare } = await jarService();
  await prepare('1.4.1');
  await jar.switchTo('1.4.1');
  const before = await namesBelow(dir);
  store.fault = () => new TriggerDeployError('ARTIFACT_NOT_FOUND', 'gone');
  await expect(prepare('1.4.2')).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  expect(await namesBelow(dir)).toEqual(before);
});

test('files that a killed prepare left in staging are removed by the next, even if its release is complete', async () => {
  const { dir, prepare } = await jarService();
  await prepare('1.4.2');
  await mkdir(join(dir, '.staging', 'release'));
  await writeFile(join(dir, '.staging', 'release', 'half'), '');
  await symlink('releases/1.4.1', join(dir, '.current.0123456789abcdef.new'));
  await prepare('1.4.2');
  expect(await namesBelow(dir)).toEqual([
    '.staging',
    'releases',
    'releases/1.4.2',
    'releases/1.4.2/.release.json',
    'releases/1.4.2/payments.jar',
  ]);
});

test('a link in place of releases is rejected, and not followed', async () => {
  const { dir, prepare } = await jarService();
  const elsewhere = await temporaryDirectory();
  await writeFile(join(elsewhere, 'precious'), '');
  await mkdir(dir, { recursive: true });
  await symlink(elsewhere, join(dir, 'releases'));
  await expect(prepare('1.4.2')).rejects.toMatchObject({ code: 'NOT_READY' });
  expect(await namesBelow(elsewhere)).toEqual(['precious']);
  expect((await lstat(join(dir, 'releases'))).isSymbolicLink()).toBe(true);
  proved('symlink', 'a link in place of releases');
});

test('a staging directory that others could read is made private', async () => {
  const { dir, prepare } = await jarService();
  await prepare('1.4.1');
  await chmod(join(dir, '.staging'), 0o755);
  await prepare('1.4.2');
  expect((await stat(join(dir, '.staging'))).mode & 0o777).toBe(0o700);
});

test('an artifact that does not fit is rejected by its signed size, before the download', async () => {
  const { store, prepare } = await jarService();
  const huge = { ...store.put('payments.jar', 'x'), size: 2 ** 52 };
  await expect(prepare('1.4.2', [huge])).rejects.toMatchObject({
    code: 'NO_SPACE',
    message: expect.stringMatching(/^payments 1\.4\.2 needs 4096\.0 TiB in .*, .* are free$/),
  });
  expect(store.reads).toEqual([]);
});

test('an abort ends a prepare with its reason, and leaves no files', async () => {
  const { dir, store, jar, versions } = await jarService();
  const controller = new AbortController();
  store.fault = () => {
    controller.abort(new Error('superseded'));
    return undefined;
  };
  const order = { service: 'payments', version: '1.4.2', artifacts: versions('1.4.2'), fresh: false };
  await expect(jar.prepare(order, () => {}, controller.signal)).rejects.toThrow('superseded');
  expect(await namesBelow(dir)).toEqual(['.staging', 'releases']);
});

test('pruning keeps the newest, and removes the rest for good', async () => {
  const { dir, jar, prepare } = await jarService();
  for (let n = 1; n <= 6; n += 1) await prepare(`${n}`);
  await jar.switchTo('6');
  expect((await jar.prune(new Set())).sort()).toEqual(['1', '2', '3']);
  expect(
    await namesBelow(join(dir, 'releases')).then((all) => all.filter((name) => !name.includes('/'))),
  ).toEqual(['4', '5', '6']);
  expect(await namesBelow(join(dir, '.staging'))).toEqual([]);
  expect(await jar.prune(new Set())).toEqual([]);
});

test('pruning never removes the current release, a protected one, or one that a live process has open', async () => {
  const { dir, jar, prepare } = await jarService();
  for (let n = 1; n <= 7; n += 1) await prepare(`${n}`);
  await jar.switchTo('1');
  await holdOpen(join(dir, 'releases', '3', 'payments.jar'));
  expect(await jar.prune(new Set(['2']))).toEqual(['4']);
  expect(await names(jar)).toEqual(['1', '2', '3', '5', '6', '7']);
  proved('prune', 'of 7 releases 1 removed: current, a precious one, one that is open and the newest 3 kept');
});

test('processes that hold old releases open keep the three newest of them, and no more', async () => {
  const { dir, jar, prepare } = await jarService();
  for (let n = 1; n <= 9; n += 1) await prepare(`${n}`);
  await jar.switchTo('9');
  for (let n = 1; n <= 5; n += 1) await holdOpen(join(dir, 'releases', `${n}`, 'payments.jar'));
  expect((await jar.prune(new Set())).sort()).toEqual(['1', '2', '6']);
  expect(await names(jar)).toEqual(['3', '4', '5', '7', '8', '9']);
});

test('at least three are kept, whatever the config says', async () => {
  const { jar, prepare } = await jarService({ keep: 1 });
  for (let n = 1; n <= 4; n += 1) await prepare(`${n}`);
  expect(await jar.prune(new Set())).toEqual(['1']);
});

test('pruning does not touch files that are not a release', async () => {
  const { dir, jar, prepare } = await jarService();
  for (let n = 1; n <= 4; n += 1) await prepare(`${n}`);
  await mkdir(join(dir, 'releases', 'mine'));
  expect(await jar.prune(new Set())).toEqual(['1']);
  expect((await stat(join(dir, 'releases', 'mine'))).isDirectory()).toBe(true);
});

test('an adoption that was interrupted before the switch is finished', async () => {
  const path = join(await temporaryDirectory(), 'old.jar');
  await writeFile(path, 'the old jar');
  const { dir, jar } = await jarService({ adopt: { path, version: '0.9' } });
  await jar.adopt(calm);
  await rm(join(dir, 'current'));
  await rm(path);
  expect(await jar.adopt(calm)).toBe('0.9');
  expect(await jar.current()).toBe('0.9');
});

test('without an earlier version, or without adopt, nothing is done', async () => {
  const { jar } = await jarService({ adopt: { path: '/nowhere/old.jar', version: '0.9' } });
  expect(await jar.adopt(calm)).toBeNull();
  expect(await (await jarService()).jar.adopt(calm)).toBeNull();
});

test('the announced release replaces an adopted one of the same version, unless that is current', async () => {
  const path = join(await temporaryDirectory(), 'old.jar');
  await writeFile(path, 'the old jar');
  const { dir, jar, prepare } = await jarService({ adopt: { path, version: '1.0' } });
  await jar.adopt(calm);
  await expect(prepare('1.0')).rejects.toMatchObject({ code: 'RELEASE_CONFLICT' });
  await prepare('1.1');
  await jar.switchTo('1.1');
  await prepare('1.0');
  expect(await read(dir, 'releases', '1.0', 'payments.jar')).toBe(jarText('jar 1.0'));
});
