import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createArchivePackage } from '../../../../../agent/host/releases/archive.ts';
import { calm } from '../../../../support/host/clock.ts';
import { memoryStore } from '../../../../support/host/store.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';

/** Directories that ran before trigger-deploy, taken over by `adopt`. */

async function service(path: string) {
  const dir = join(await temporaryDirectory(), 'opt', 'web');
  const adopt = { path, version: '0.9' };
  const archive = createArchivePackage({ service: 'web', dir, keep: 3, store: memoryStore(), adopt });
  return { dir, archive };
}

test('a directory that ran before is adopted, with its links', async () => {
  const path = join(await temporaryDirectory(), 'web');
  await mkdir(join(path, 'bin'), { recursive: true });
  await writeFile(join(path, 'bin', 'run'), '#!/bin/sh\n', { mode: 0o700 });
  await symlink('bin/run', join(path, 'run'));
  const { dir, archive } = await service(path);
  expect(await archive.adopt(calm)).toBe('0.9');
  expect(await namesBelow(join(dir, 'current', '.'))).toEqual(['.release.json', 'bin', 'bin/run', 'run']);
  expect(await readlink(join(dir, 'current', 'run'))).toBe('bin/run');
  expect((await stat(join(dir, 'current', 'bin', 'run'))).mode & 0o777).toBe(0o700);
});

test('a directory that ran before is adopted without its sockets and pipes', async () => {
  const path = join(await temporaryDirectory(), 'web');
  await mkdir(join(path, 'tmp', 'sockets'), { recursive: true });
  await writeFile(join(path, 'app.js'), '');
  const server = createServer().listen(join(path, 'tmp', 'sockets', 'puma.sock'));
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  execFileSync('mkfifo', [join(path, 'tmp', 'events')]);
  const { dir, archive } = await service(path);
  expect(await archive.adopt(calm)).toBe('0.9');
  expect(await namesBelow(join(dir, 'current', '.'))).toEqual([
    '.release.json',
    'app.js',
    'tmp',
    'tmp/sockets',
  ]);
});

test('neither a file nor the directory of the service itself can be adopted', async () => {
  const path = join(await temporaryDirectory(), 'file');
  await writeFile(path, '');
  const { archive } = await service(path);
  await expect(archive.adopt(calm)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
  const root = await temporaryDirectory();
  const around = createArchivePackage({
    service: 'web',
    dir: join(root, 'web'),
    keep: 3,
    store: memoryStore(),
    adopt: { path: root, version: '0.9' },
  });
  await expect(around.adopt(calm)).rejects.toMatchObject({ code: 'PACKAGE_INVALID' });
});

test('a relative link to the outside leads to the same place after the adoption', async () => {
  const root = await temporaryDirectory();
  const path = join(root, 'releases', '7');
  await mkdir(join(path, 'config'), { recursive: true });
  await mkdir(join(root, 'shared'));
  await writeFile(join(root, 'shared', 'app.yml'), 'port: 1');
  await symlink('../../../shared/app.yml', join(path, 'config', 'app.yml'));
  await symlink('config/../config/app.yml', join(path, 'inside'));
  const { dir, archive } = await service(path);
  expect(await archive.adopt(calm)).toBe('0.9');
  expect(await readFile(join(dir, 'current', 'config', 'app.yml'), 'utf8')).toBe('port: 1');
  expect(await readlink(join(dir, 'current', 'inside'))).toBe('config/../config/app.yml');
});
