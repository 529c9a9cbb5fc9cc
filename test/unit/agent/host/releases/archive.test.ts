import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { createArchivePackage } from '../../../../../agent/host/releases/archive.ts';
import type { Artifact } from '../../../../../shared/manifest.ts';
import { calm } from '../../../../support/host/clock.ts';
import { base256, rawTar } from '../../../../support/host/raw-tar.ts';
import { memoryStore } from '../../../../support/host/store.ts';
import { type Entry, tarball, tgz } from '../../../../support/host/tarball.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';

async function service() {
  const root = await temporaryDirectory();
  const dir = join(root, 'opt', 'web');
  const store = memoryStore();
  const archive = createArchivePackage({ service: 'web', dir, keep: 3, store });
  const prepare = (version: string, artifacts: readonly Artifact[], fresh = false, signal = calm) =>
    archive.prepare({ service: 'web', version, artifacts, fresh }, () => {}, signal);
  const prepareTar = (bytes: Buffer, name = 'web.tar.gz') => prepare('1', [store.put(name, bytes)]);
  return { root, dir, store, archive, prepare, prepareTar, release: join(dir, 'releases', '1') };
}

const ORDINARY: Entry[] = [
  { path: './', type: 'Directory', mode: 0o700 },
  { path: './bin/', type: 'Directory', mode: 0o777 },
  { path: './bin/run', mode: 0o700, body: '#!/bin/sh\n' },
  { path: './lib/deep/data.txt', mode: 0o666, body: 'data' },
  { path: './empty', body: '' },
  { path: './run', type: 'SymbolicLink', linkpath: 'bin/run' },
  { path: './copy', type: 'Link', linkpath: 'bin/run' },
];

test.each([
  ['web.tar', tarball(ORDINARY)],
  ['web.tar.gz', tgz(ORDINARY)],
  ['web.tgz', tgz(ORDINARY)],
])(
  '%s is unpacked with modes that are not wider than packed; all belongs to the agent',
  async (name, bytes) => {
    const before = process.umask(0o077);
    onTestFinished(() => void process.umask(before));
    const { dir, release, prepareTar } = await service();
    expect(await prepareTar(bytes, name)).toEqual({ downloaded: bytes.length });
    expect(await namesBelow(release)).toEqual([
      '.release.json',
      'bin',
      'bin/run',
      'copy',
      'empty',
      'lib',
      'lib/deep',
      'lib/deep/data.txt',
      'run',
    ]);
    expect(await readFile(join(release, 'run'), 'utf8')).toBe('#!/bin/sh\n');
    const modeOf = async (path: string) => ((await lstat(join(release, path))).mode & 0o7777).toString(8);
    for (const path of ['.', 'bin/run']) expect(await modeOf(path), path).toBe('700');
    for (const path of ['bin', 'lib', 'lib/deep']) expect(await modeOf(path), path).toBe('755');
    for (const path of ['lib/deep/data.txt', 'empty']) expect(await modeOf(path), path).toBe('644');
    for (const path of await namesBelow(release)) {
      expect((await lstat(join(release, path))).uid, path).toBe(process.getuid?.());
    }
    expect(await namesBelow(join(dir, '.staging'))).toEqual([]);
  },
);

test('an archive as tar(1) makes it is unpacked: long names, many files, links', async () => {
  const source = await temporaryDirectory();
  const long = join('a'.repeat(120), 'b'.repeat(120));
  await mkdir(join(source, long), { recursive: true });
  await writeFile(join(source, long, 'file'), randomBytes(1_500_000));
  for (let n = 0; n < 300; n += 1) await writeFile(join(source, `f${n}`), `${n}`);
  await symlink(join(long, 'file'), join(source, 'link'));
  for (const format of ['gnu', 'pax']) {
    const bytes = execFileSync('tar', ['-C', source, `--format=${format}`, '-czf', '-', '.'], {
      maxBuffer: 10_000_000,
    });
    const { release, prepareTar } = await service();
    await prepareTar(bytes);
    execFileSync('diff', ['-r', '--no-dereference', '-x', '.release.json', source, release]);
  }
});

test('files keep their time stamp, and a link may lead through another one', async () => {
  const { release, prepareTar } = await service();
  await prepareTar(
    tgz([
      { path: 'store/lib/index.js', body: 'x', mtime: new Date('2024-05-06T07:08:09Z') },
      { path: 'lib', type: 'SymbolicLink', linkpath: 'store/lib' },
      { path: 'main.js', type: 'SymbolicLink', linkpath: 'lib/index.js' },
    ]),
  );
  expect(await readFile(join(release, 'main.js'), 'utf8')).toBe('x');
  expect((await stat(join(release, 'main.js'))).mtime).toEqual(new Date('2024-05-06T07:08:09Z'));
});

test('config files are placed at the top and replace files of the same name', async () => {
  const { store, release, prepare } = await service();
  const bytes = tgz([
    { path: 'application.yaml', body: 'packaged' },
    { path: 'linked.yaml', type: 'SymbolicLink', linkpath: 'application.yaml' },
  ]);
  await prepare('1', [
    store.put('web.tgz', bytes),
    store.put('application.yaml', 'of dev', 'config'),
    store.put('linked.yaml', 'of dev, too', 'config'),
    store.put('extra.yaml', 'extra', 'config'),
    ...['.env', '.package', '0', 'my settings.yml'].map((name) => store.put(name, `of ${name}`, 'config')),
  ]);
  const read = (name: string) => readFile(join(release, name), 'utf8');
  expect(await read('application.yaml')).toBe('of dev');
  expect(await read('linked.yaml')).toBe('of dev, too');
  expect(await read('extra.yaml')).toBe('extra');
  for (const name of ['.env', '.package', '0', 'my settings.yml']) {
    expect(await read(name)).toBe(`of ${name}`);
  }
  proved('names', 'config files named .env, .package, 0 and "my settings.yml"');
});

test('a config file does not replace a directory of the archive', async () => {
  const { store, prepare } = await service();
  const bytes = tgz([{ path: 'conf.d/a', body: '' }]);
  await expect(
    prepare('1', [store.put('web.tgz', bytes), store.put('conf.d', '', 'config')]),
  ).rejects.toMatchObject({
    code: 'PACKAGE_INVALID',
  });
});

const EVIL: [string, Entry[]][] = [
  ['..', [{ path: '../escaped', body: 'x' }]],
  ['.. further in', [{ path: 'a/../../../escaped', body: 'x' }]],
  ['an absolute path', [{ path: '/tmp/td-host-escaped', body: 'x' }]],
  ['a link that leaves', [{ path: 'out', type: 'SymbolicLink', linkpath: '../../..' }]],
  ['a link to an absolute path', [{ path: 'out', type: 'SymbolicLink', linkpath: '/etc' }]],
  [
    'a file written through a link',
    [
      { path: 'out', type: 'SymbolicLink', linkpath: 'in' },
      { path: 'out/x', body: 'x' },
    ],
  ],
  ['a hard link to the outside', [{ path: 'passwd', type: 'Link', linkpath: '/etc/passwd' }]],
  ['a hard link that leaves', [{ path: 'x', type: 'Link', linkpath: '../../../../escaped' }]],
  ['a device', [{ path: 'null', type: 'CharacterDevice', devmaj: 1, devmin: 3 }]],
  ['a FIFO', [{ path: 'pipe', type: 'FIFO' }]],
  ['a setuid file', [{ path: 'su', mode: 0o4755, body: 'x' }]],
  ['a control character', [{ path: 'a\u0007b', body: 'x' }]],
  ["the agent's release record", [{ path: '.release.json', body: '{}' }]],
];

test.each(EVIL)('an archive with %s is rejected', async (what, entries) => {
  const { root, dir, archive, prepareTar } = await service();
  const bytes = tgz([{ path: 'good', body: 'good' }, ...entries, { path: 'after', body: 'x' }]);
  await expect(prepareTar(bytes)).rejects.toMatchObject({
    code: 'ARCHIVE_UNSAFE',
    message: expect.stringMatching(/^the archive is rejected: "/),
  });
  expect(await archive.releases()).toEqual([]);
  expect(await namesBelow(dir)).toEqual(['.staging', 'releases']);
  expect(await namesBelow(root)).toEqual(['opt', 'opt/web', 'opt/web/.staging', 'opt/web/releases']);
  if (what === EVIL.at(-1)?.[0]) proved('archive', `${EVIL.length} kinds of archives`);
});

test('an archive bomb is rejected by its headers, before its contents are written', async () => {
  const { dir, prepareTar } = await service();
  const bytes = gzipSync(tarball([{ path: 'bomb', size: 11 * 1024 ** 3 }]));
  await expect(prepareTar(bytes)).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
  expect(await namesBelow(dir)).toEqual(['.staging', 'releases']);
  proved('archive', 'a bomb of 11 GiB');
});

test('an archive of more than 100,000 entries is rejected', { timeout: 60_000 }, async () => {
  const { prepareTar } = await service();
  const entries = Array.from({ length: 100_001 }, (_, n): Entry => ({ path: `d/${n}` }));
  await expect(prepareTar(tgz(entries))).rejects.toMatchObject({
    code: 'ARCHIVE_UNSAFE',
    message: expect.stringContaining('exceeds the limit of 100000 entries'),
  });
  proved('archive', 'an archive of 100,001 files');
});

test('bytes after the end of a tar are ignored', async () => {
  const { release, prepareTar } = await service();
  await prepareTar(
    Buffer.concat([tarball([{ path: 'a', body: '1' }]), Buffer.alloc(3_000_000, 'x')]),
    'web.tar',
  );
  expect(await namesBelow(release)).toEqual(['.release.json', 'a']);
});

const whole = tgz([
  { path: 'a', body: 'x'.repeat(100_000) },
  { path: 'b', body: randomBytes(50_000).toString('hex') },
]);
test.each([
  ['cut short in its gzip', 'web.tgz', whole.subarray(0, whole.length / 2)],
  ['cut short in its tar', 'web.tar', tarball(ORDINARY).subarray(0, 1700)],
  ['random bytes', 'web.tar', randomBytes(5000)],
  ['random bytes after a gzip header', 'web.tgz', Buffer.concat([whole.subarray(0, 20), randomBytes(5000)])],
  ['gzipped twice', 'web.tgz', gzipSync(whole)],
  ['text', 'web.tar', Buffer.from('no tar at all')],
])('an archive that is %s is no valid package', async (_what, name, bytes) => {
  const { dir, prepareTar } = await service();
  await expect(prepareTar(bytes, name)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
  expect(await namesBelow(dir)).toEqual(['.staging', 'releases']);
});

test('a package whose name is not an archive is rejected before the download', async () => {
  const { store, prepareTar } = await service();
  await expect(prepareTar(whole, 'web.zip')).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
  expect(store.reads).toEqual([]);
});

test('an abort ends the unpacking with its reason, and leaves no files', async () => {
  const { dir, store, archive } = await service();
  const entries = Array.from({ length: 5000 }, (_, n): Entry => ({ path: `f${n}`, body: `${n}` }));
  const controller = new AbortController();
  const order = {
    service: 'web',
    version: '1',
    artifacts: [store.put('web.tgz', tgz(entries))],
    fresh: false,
  };
  const note = (text: string) => {
    if (text.startsWith('unpacking')) setTimeout(() => controller.abort(new Error('superseded')), 20);
  };
  await expect(archive.prepare(order, note, controller.signal)).rejects.toThrow('superseded');
  expect(await namesBelow(dir)).toEqual(['.staging', 'releases']);
});

test('the current release is verified by unpacking the archive again beside it', async () => {
  const { store, archive, prepare, release, dir } = await service();
  const artifacts = [store.put('web.tgz', tgz(ORDINARY)), store.put('a.yaml', 'a', 'config')];
  await prepare('1', artifacts);
  await archive.switchTo('1');
  const { ino } = await stat(release);
  await prepare('1', artifacts, true);
  expect((await stat(release)).ino).toBe(ino);
  await writeFile(join(release, 'lib', 'deep', 'data.txt'), 'evil');
  await expect(prepare('1', artifacts, true)).rejects.toMatchObject({ code: 'ARTIFACT_DIGEST_MISMATCH' });
  expect(await namesBelow(join(dir, '.staging'))).toEqual([]);
});

test('a file from before 1970 keeps its time stamp', async () => {
  const { release, prepareTar } = await service();
  await prepareTar(rawTar([{ name: 'old', mtime: base256(-5n), body: 'x' }]), 'web.tar');
  expect((await stat(join(release, 'old'))).mtimeMs).toBe(-5000);
});
