import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { lookAtFiles } from '../../../../../agent/host/deb/shown-files.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

/** A package `proxy` whose program is /bin/dash under another name, and a running process of it. */
async function proxy() {
  const dir = await temporaryDirectory();
  const program = join(dir, 'proxy');
  await copyFile('/bin/dash', program);
  await writeFile(join(dir, 'proxy.list'), `/.\n${dir}\n${program}\n`);
  const child = spawn(program, ['-c', 'echo up; read -r never'], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const process = { pid: child.pid ?? 0, id: 'proxy', main: true };
  const look = (before: string[] = []) => lookAtFiles('proxy', [process], new Set(before), dir);
  return { dir, program, look };
}

test('a process of the installed files shows the installed version', async () => {
  const { look } = await proxy();
  expect((await look()).shown).toMatchObject([{ wanted: true }]);
});

test('a process whose program dpkg has replaced runs an older version', async () => {
  const { dir, program, look } = await proxy();
  await copyFile('/bin/dash', join(dir, 'proxy.dpkg-new'));
  await rename(join(dir, 'proxy.dpkg-new'), program);
  expect((await look(['proxy'])).shown).toMatchObject([
    { wanted: false, by: `it has the old ${program} open` },
  ]);
});

test('a process from before the installation does not show the installed version', async () => {
  const { look } = await proxy();
  expect((await look(['proxy'])).shown).toEqual([]);
});
