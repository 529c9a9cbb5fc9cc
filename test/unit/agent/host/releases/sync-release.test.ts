import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { RunCommand, RunResult } from '../../../../../agent/host/process/run-command.ts';
import { reportsFailedWrites, syncRelease } from '../../../../../agent/host/releases/sync-release.ts';
import { calm } from '../../../../support/host/clock.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

const GNU = 'sync (GNU coreutils) 9.1\n';

/** Syncs a release of six entries; `sync` answers as sync(1) does. Returns how often it was synced file by file. */
async function synced(
  sync: { version?: string; exitCode?: number; output?: string; missing?: boolean },
  wholeFrom = 6,
): Promise<{ commands: string[]; fileByFile: number }> {
  const root = await temporaryDirectory();
  await mkdir(join(root, 'lib'));
  for (let n = 0; n < 5; n += 1) await writeFile(join(root, 'lib', `${n}`), '');
  const commands: string[] = [];
  let fileByFile = 0;
  const run: RunCommand = async (argv): Promise<RunResult> => {
    if (sync.missing) throw new Error('cannot run sync: ENOENT');
    commands.push(argv.map((word) => (word === root ? 'ROOT' : word)).join(' '));
    const { version = GNU, exitCode = 0, output = '' } = sync;
    return argv[1] === '--version'
      ? { exitCode: 0, timedOut: false, output: version, stdout: version }
      : { exitCode, timedOut: false, output, stdout: '' };
  };
  const count = async () => {
    fileByFile += 1;
  };
  await syncRelease(root, calm, { wholeFrom, run, fileByFile: count });
  return { commands, fileByFile };
}

test('a release of many entries is synced with its file system, one of few is synced file by file', async () => {
  expect(await synced({})).toEqual({ commands: ['sync --version', 'sync -f -- ROOT'], fileByFile: 0 });
  expect(await synced({}, 7)).toEqual({ commands: [], fileByFile: 1 });
});

test.each([
  ['is missing', { missing: true }],
  ['is of busybox', { version: '' }],
  ['ignores failed writes', { version: 'sync (uutils coreutils) 0.2.2\n' }],
  ['does not know -f', { exitCode: 1, output: "sync: invalid option -- 'f'" }],
  [
    'may not do it',
    { exitCode: 1, output: "sync: error syncing '/opt/web/.staging/1/release': Operation not permitted\n" },
  ],
  ['is ended by the timeout', { exitCode: null as unknown as number }],
])('where sync(1) %s, a release is synced file by file', async (_name, sync) => {
  expect((await synced(sync)).fileByFile).toBe(1);
});

test.each([
  ['EIO', 'Input/output error'],
  ['ENOSPC', 'No space left on device'],
  ['EDQUOT', 'Disk quota exceeded'],
  ['EROFS', 'Read-only file system'],
])('a failed write (%s) of the file system fails the release', async (code, text) => {
  const output = `sync: error syncing '/opt/web/.staging/1/release': ${text}\n`;
  await expect(synced({ exitCode: 1, output })).rejects.toMatchObject({ code });
});

test('only a kernel that reports failed writes counts', () => {
  expect(['4.14.355', '5.4.0-150-generic', '5.7.19'].map(reportsFailedWrites)).toEqual([false, false, false]);
  expect(['5.8.0', '5.10.0-30-amd64', '6.1.94', '6.18.44-fc'].map(reportsFailedWrites)).not.toContain(false);
});
