import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createArchivePackage } from '../../../../../agent/host/releases/archive.ts';
import type { Artifact } from '../../../../../shared/manifest.ts';
import { calm } from '../../../../support/host/clock.ts';
import { jarService } from '../../../../support/host/jars.ts';
import { memoryStore } from '../../../../support/host/store.ts';
import { type Entry, tgz } from '../../../../support/host/tarball.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';

const read = (...path: string[]) => readFile(join(...path), 'utf8');

function at(store: ReturnType<typeof memoryStore>, path: string, text = `of ${path}`): Artifact {
  return { ...store.put(path.replaceAll('/', '@'), text, 'config'), path };
}

async function archiveService() {
  const root = await temporaryDirectory();
  const dir = join(root, 'opt', 'web');
  const store = memoryStore();
  const archive = createArchivePackage({
    service: 'web',
    dir,
    keep: 3,
    store,
    allowLinks: [join(root, 'shared')],
  });
  const prepare = (version: string, artifacts: readonly Artifact[], fresh = false) =>
    archive.prepare({ service: 'web', version, artifacts, fresh }, () => {}, calm);
  return { root, dir, store, archive, prepare, release: join(dir, 'releases', '1') };
}

test('config files beside a jar are put to their paths, and a rollback finds them there', async () => {
  const before = process.umask(0o077);
  onTestFinished(() => void process.umask(before));
  const { dir, store, jar, prepare, versions } = await jarService();
  const artifacts = [...versions('1'), at(store, 'config/app.yml'), at(store, 'config/more/app.yml')];
  await prepare('1', artifacts);
  const release = join(dir, 'releases', '1');
  expect(await namesBelow(release)).toEqual([
    ...['.release.json', 'config', 'config/app.yml', 'config/more', 'config/more/app.yml', 'payments.jar'],
  ]);
  expect((await stat(join(release, 'config', 'more'))).mode & 0o777).toBe(0o755);
  await jar.switchTo('1');
  // The release in use is verified in place.
  await prepare('1', artifacts, true);
  await prepare('2');
  await jar.switchTo('2');
  expect(await prepare('1', artifacts)).toEqual({ downloaded: 0 });
  await jar.switchTo('1');
  expect(await read(dir, 'current', 'config', 'more', 'app.yml')).toBe('of config/more/app.yml');
  expect(await jar.releases()).toContainEqual(expect.objectContaining({ version: '1', artifacts }));
  await writeFile(join(release, 'config', 'app.yml'), 'edited');
  await expect(prepare('1', artifacts, true)).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST_MISMATCH' });
});

test('a config file that the service cut short does not make its release damaged', async () => {
  const { dir, store, jar, prepare, versions } = await jarService();
  await prepare('1', [...versions('1'), at(store, 'config/app.yml')]);
  await jar.switchTo('1');
  await writeFile(join(dir, 'current', 'config', 'app.yml'), '');
  expect(await jar.isWhole?.()).toBe(true);
});

test('no config file is put in place of the jar, or below it', async () => {
  const { store, prepare, versions } = await jarService();
  const artifacts = [...versions('1'), at(store, 'payments.jar/app.yml')];
  await expect(prepare('1', artifacts)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
});

test('config files of an archive are put to their paths, and replace its own files there', async () => {
  const { store, dir, archive, prepare, release } = await archiveService();
  const bytes = tgz([
    { path: 'config/app.yml', body: 'packaged' },
    { path: 'config/link.yml', type: 'SymbolicLink', linkpath: 'app.yml' },
    { path: 'config/kept.yml', body: 'kept' },
  ]);
  const paths = ['config/app.yml', 'config/link.yml', 'new/deep/app.yml'];
  const artifacts = [store.put('web.tgz', bytes), ...paths.map((path) => at(store, path))];
  await prepare('1', artifacts);
  for (const path of paths) expect(await read(release, path)).toBe(`of ${path}`);
  expect(await read(release, 'config', 'kept.yml')).toBe('kept');
  await archive.switchTo('1');
  await prepare('1', artifacts, true);
  expect(await read(dir, 'current', 'new/deep/app.yml')).toBe('of new/deep/app.yml');
  proved('names', 'config files in directories of an archive');
});

test.each<[string, Entry[], string]>([
  ['a file', [{ path: 'config', body: '' }], 'a file'],
  [
    'a link to a directory',
    [
      { path: 'real/a', body: '' },
      { path: 'config', type: 'SymbolicLink', linkpath: 'real' },
    ],
    'a link',
  ],
  [
    'a link out of the release',
    [{ path: 'config', type: 'SymbolicLink', linkpath: '../../../../shared' }],
    'a link',
  ],
  ['a link that leads nowhere', [{ path: 'config', type: 'SymbolicLink', linkpath: 'none' }], 'a link'],
])('the archive has %s in place of a directory: nothing is written through it', async (_, entries, what) => {
  const { root, store, prepare } = await archiveService();
  await mkdir(join(root, 'shared'));
  const artifacts = [store.put('web.tgz', tgz(entries)), at(store, 'config/app.yml')];
  await expect(prepare('1', artifacts)).rejects.toMatchObject({
    code: 'PACKAGE_INVALID',
    message: `the config file config/app.yml needs the directory config, but the package has ${what} there`,
  });
  expect(await namesBelow(join(root, 'shared'))).toEqual([]);
});
