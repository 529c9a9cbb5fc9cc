import { promises } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import type { PackageType } from '../../../../../agent/deploy/ports.ts';
import { calm } from '../../../../support/host/clock.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { jarText, ZIP } from '../../../../support/shared/zip.ts';

const names = async (jar: PackageType) => (await jar.releases()).map(({ version }) => version).sort();
const read = (...path: string[]) => readFile(join(...path), 'utf8');

test('a release has the jar under the name of the service, with its config files beside it, which only the agent reads', async () => {
  const before = process.umask(0o077);
  onTestFinished(() => void process.umask(before));
  const { dir, store, jar, prepare } = await jarService();
  const artifacts = [
    store.put('payments-1.4.2.jar', jarText('jar 1.4.2')),
    store.put('application-dev.yaml', 'a: 1', 'config'),
  ];
  expect(await prepare('1.4.2', artifacts)).toEqual({ downloaded: 13 + ZIP.length });
  const release = join(dir, 'releases', '1.4.2');
  expect(await namesBelow(release)).toEqual(['.release.json', 'application-dev.yaml', 'payments.jar']);
  expect(await read(release, 'payments.jar')).toBe(jarText('jar 1.4.2'));
  for (const name of await namesBelow(release)) {
    const mode = name === 'application-dev.yaml' ? 0o600 : 0o644;
    expect((await stat(join(release, name))).mode & 0o777).toBe(mode);
  }
  for (const path of [dir, join(dir, 'releases'), release])
    expect((await stat(path)).mode & 0o777).toBe(0o755);
  expect((await stat(join(dir, '.staging'))).mode & 0o777).toBe(0o700);
  expect(await jar.releases()).toMatchObject([{ version: '1.4.2', artifacts }]);
  expect(await jar.current()).toBeNull();
});

test('the current release is not replaced but verified', async () => {
  const { dir, store, jar, prepare, versions } = await jarService();
  await prepare('1.4.2');
  await jar.switchTo('1.4.2');
  expect(await prepare('1.4.2', versions('1.4.2'), true)).toEqual({ downloaded: 0 });
  await writeFile(join(dir, 'releases', '1.4.2', 'payments.jar'), jarText('jar 1.4.X'));
  await expect(prepare('1.4.2', versions('1.4.2'), true)).rejects.toMatchObject({
    code: 'ARTIFACT_DIGEST_MISMATCH',
  });
  expect(store.reads).toHaveLength(1);
});

test.each<[what: string, bytes: string | Buffer, message: RegExp]>([
  ['an empty file', '', /is empty/],
  ['a zip that was cut short', 'PK\x03\x04 and no end', /not a whole jar: the end of its zip is missing/],
  ['a file compressed with gzip', gzipSync('a jar'), /compressed with gzip/],
  ['a Debian package', '!<arch>\ndebian-binary   1', /Debian package/],
  ['a Java class', Buffer.from([0xca, 0xfe, 0xba, 0xbe, 0, 0]), /Java class/],
  ['a script without a zip behind it', '#!/bin/sh\nexec java\n', /is no jar: it is not a zip, nor a script/],
  ['bytes that nobody knows', 'not a zip', /is no jar: it is not a zip/],
  ['the page of a proxy', '<!DOCTYPE html><title>502</title>', /HTML|page/i],
])('%s is no jar, and is refused before anything stops', async (_what, bytes, message) => {
  const { store, jar, prepare } = await jarService();
  await expect(prepare('1', [store.put('a.jar', bytes)])).rejects.toMatchObject({
    code: 'PACKAGE_INVALID',
    message: expect.stringMatching(message),
  });
  expect(await names(jar)).toEqual([]);
});

test('a config file cannot have the name of the jar', async () => {
  const { store, prepare } = await jarService();
  const artifacts = [store.put('a.jar', ZIP), store.put('payments.jar', 'config', 'config')];
  await expect(prepare('1', artifacts)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
});

test('the version that ran before is adopted as a release that can be rolled back to', async () => {
  const path = join(await temporaryDirectory(), 'payments-0.9.jar');
  await writeFile(path, 'the old jar', { mode: 0o600 });
  const { dir, jar, prepare } = await jarService({ adopt: { path, version: '0.9' } });
  expect(await jar.adopt(calm)).toBe('0.9');
  expect(await jar.current()).toBe('0.9');
  expect(await read(dir, 'current', 'payments.jar')).toBe('the old jar');
  expect((await stat(join(dir, 'current', 'payments.jar'))).mode & 0o777).toBe(0o600);
  expect(await jar.releases()).toMatchObject([{ version: '0.9', artifacts: [] }]);
  expect(await read(path)).toBe('the old jar');
  expect(await jar.adopt(calm)).toBeNull();
  await prepare('1.0');
  await jar.switchTo('1.0');
  await jar.switchTo('0.9');
  expect(await read(dir, 'current', 'payments.jar')).toBe('the old jar');
});

test('a directory is not adopted as a jar', async () => {
  const { dir, jar } = await jarService({ adopt: { path: await temporaryDirectory(), version: '0.9' } });
  await expect(jar.adopt(calm)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
  expect(await namesBelow(dir)).toEqual(['.staging', 'releases']);
});

test('a directory that the agent may not write to is told by `check`, and refuses a deployment before anything stops', async () => {
  const { access } = promises;
  onTestFinished(() => {
    Object.assign(promises, { access });
    syncBuiltinESMExports();
  });
  const { dir, jar, prepare } = await jarService();
  Object.assign(promises, { access: async () => Promise.reject(new Error('EACCES: permission denied')) });
  syncBuiltinESMExports();
  const what = expect.stringMatching(/^the agent, as user \d+, may not write to \/.+: EACCES/);
  const hint = `make ${dir}, and give it to the user of the agent`;
  expect(await jar.inspect()).toEqual([{ ok: false, what, hint }]);
  await expect(prepare('1')).rejects.toMatchObject({ code: 'RELEASE_CONFLICT', message: what, hint });
});
