import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { mappedPaths } from '../../../../../agent/host/process/process-view.ts';
import { namesWithOpenFiles } from '../../../../../agent/host/releases/open-files.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

/** A process that has reported that it is up. */
async function running(file: string, args: string[], cwd?: string) {
  const child = spawn(file, args, { cwd, stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

const SAY_UP = 'echo up; exec sleep 300';

test('an open file, a working directory and a program count as use; a path in the arguments does not', async () => {
  const root = await temporaryDirectory();
  for (const name of ['opened', 'working-dir', 'executed', 'idle']) await mkdir(join(root, name));
  await writeFile(join(root, 'opened', 'a.jar'), '');
  await copyFile('/bin/sleep', join(root, 'executed', 'service'));
  await running('/bin/sh', ['-c', `exec 9< opened/a.jar; ${SAY_UP}`], root);
  await running('/bin/sh', ['-c', SAY_UP], join(root, 'working-dir'));
  await running('/bin/sh', ['-c', 'echo up; exec executed/service 300'], root);
  await expect.poll(() => namesWithOpenFiles(root)).toEqual(new Set(['opened', 'working-dir', 'executed']));
});

test('a file opened through a link counts for its real location', async () => {
  const root = await temporaryDirectory();
  await mkdir(join(root, '1.4.1'));
  await writeFile(join(root, '1.4.1', 'a.jar'), '');
  await symlink('1.4.1', join(root, 'current'));
  await running('/bin/sh', ['-c', `exec 9< ${root}/current/a.jar; ${SAY_UP}`]);
  expect(await namesWithOpenFiles(root)).toEqual(new Set(['1.4.1']));
});

test('a process that has ended uses nothing', async () => {
  const root = await temporaryDirectory();
  await mkdir(join(root, '1.4.1'));
  const child = await running('/bin/sh', ['-c', SAY_UP], join(root, '1.4.1'));
  expect(await namesWithOpenFiles(root)).toEqual(new Set(['1.4.1']));
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await namesWithOpenFiles(root)).toEqual(new Set());
});

test('mapped files are found in the kernel’s list, including names with spaces', () => {
  const maps = [
    '7f00-7f01 r--p 00000000 fe:00 1234                       /opt/a b/lib.so',
    '7f01-7f02 r--p 00000000 fe:00 1234                       /opt/a b/lib.so',
    '7f02-7f03 rw-p 00000000 00:00 0                          [heap]',
    '7f03-7f04 rw-p 00000000 00:00 0 ',
  ].join('\n');
  expect(mappedPaths(maps)).toEqual(['/opt/a b/lib.so']);
});
