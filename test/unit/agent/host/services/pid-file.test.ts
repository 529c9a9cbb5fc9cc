import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { findProcess, groupMembers } from '../../../../../agent/host/process/proc.ts';
import { killProcess, readPidFile } from '../../../../../agent/host/services/pid-file.ts';
import { ended, runs } from '../../../../support/host/processes.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

/** Any unused user id; only root can run processes as it. */
const SERVICE_USER = 54_321;
const isRoot = process.getuid?.() === 0;

/** A running process that leads its own group, like a daemon; killed at the end of the test. */
async function daemon(script: string, uid?: number): Promise<number> {
  const child = spawn('/bin/sh', ['-c', `echo up; ${script}`], {
    ...{ detached: true, stdio: ['ignore', 'pipe', 'ignore'] as ['ignore', 'pipe', 'ignore'] },
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const { pid = 0 } = child;
  onTestFinished(async () => {
    for (const member of await groupMembers(pid)) process.kill(member, 'SIGKILL');
  });
  await once(child.stdout, 'data');
  return pid;
}

async function pidFile(content: unknown, of: { uid?: number; mode?: number; directory?: number } = {}) {
  const directory = join(await temporaryDirectory(), 'run');
  await mkdir(directory);
  const path = join(directory, 'service.pid');
  await writeFile(path, `${content}\n`);
  await chmod(path, of.mode ?? 0o644);
  await chmod(directory, 0o755);
  if (of.uid !== undefined) await chown(path, of.uid, of.uid);
  if (of.directory !== undefined) await chown(directory, of.directory, of.directory);
  return { path, directory };
}

const SLEEP = 'exec sleep 300';

describe('a pid file', () => {
  test("names a process of any user when only root or the agent's user can write it", async () => {
    const pid = await daemon(SLEEP, isRoot ? SERVICE_USER : undefined);
    const { path } = await pidFile(pid);
    expect(await readPidFile(path)).toEqual({
      process: await findProcess(pid),
      refusal: undefined,
      writer: undefined,
    });
  });

  test('that names pid 1 is rejected: for kill(2) its group means every process', async () => {
    const { path } = await pidFile(1);
    const { process: named, refusal } = await readPidFile(path);
    expect(named).toBeUndefined();
    expect(refusal?.problem).toBe(`${path} names pid 1, which cannot be a service`);
    expect(refusal?.hint).toContain('remove `pidFile`');
  });

  test('that names the agent, or a process in its group, is rejected', async () => {
    const child = spawn('/bin/sleep', ['300']);
    onTestFinished(() => void child.kill('SIGKILL'));
    for (const pid of [process.pid, child.pid]) {
      const { path } = await pidFile(pid);
      const { process: named, refusal } = await readPidFile(path);
      expect(named).toBeUndefined();
      expect(refusal?.problem).toContain('which is the agent itself or a process of its process group');
    }
  });

  test('that other users can write to, itself or by its directory, is read and not trusted', async () => {
    const pid = await daemon(SLEEP);
    const loose = await pidFile(pid, { mode: 0o666 });
    expect(await readPidFile(loose.path)).toMatchObject({
      process: { pid },
      refusal: {
        problem: `${loose.path} names pid ${pid}, but other users can write to ${loose.path}`,
        hint: `chmod go-w ${loose.path}`,
      },
    });
    const { path, directory } = await pidFile(pid);
    await chmod(directory, 0o775);
    expect((await readPidFile(path)).refusal?.hint).toBe(`chmod go-w ${directory}`);
    // As /tmp is: no user renames there what another user owns.
    await chmod(directory, 0o1777);
    expect((await readPidFile(path)).refusal).toBeUndefined();
  });

  test('without a live pid names no process, and is not a problem', async () => {
    const gone = await daemon('exit 0');
    await ended(gone);
    for (const content of ['', 'x', '0', '-1', gone]) {
      const { path } = await pidFile(content);
      expect(await readPidFile(path), String(content)).toEqual({
        process: undefined,
        refusal: undefined,
        writer: undefined,
      });
    }
  });
});

// Only root has processes of another user; CI is root.
describe.runIf(isRoot)("a pid file of the service's user (left out without root)", () => {
  test('names only processes of that user', async () => {
    const own = await pidFile(await daemon(SLEEP, SERVICE_USER), { uid: SERVICE_USER });
    expect(await readPidFile(own.path)).toMatchObject({ refusal: undefined, writer: SERVICE_USER });
    const stranger = await daemon(SLEEP);
    const { path } = await pidFile(stranger, { uid: SERVICE_USER });
    const named = await readPidFile(path);
    expect(named.refusal?.problem).toBe(
      `${path} is written by the user ${SERVICE_USER}, but names pid ${stranger} of another user`,
    );
    await killProcess(named);
    expect(await runs(stranger)).toBe(true);
  });

  test('is also a file of root in a directory of that user, who may have moved it there', async () => {
    const directory = SERVICE_USER;
    const own = await pidFile(await daemon(SLEEP, SERVICE_USER), { directory });
    expect(await readPidFile(own.path)).toMatchObject({ refusal: undefined, writer: SERVICE_USER });
    const { path } = await pidFile(await daemon(SLEEP), { directory });
    expect((await readPidFile(path)).refusal).toBeDefined();
  });

  test('is not followed through a link of that user to a pid file of root', async () => {
    const { path: of, directory: elsewhere } = await pidFile(await daemon(SLEEP));
    const { path, directory } = await pidFile('', { directory: SERVICE_USER });
    const link = join(directory, 'run');
    await symlink(elsewhere, link);
    const problem = `${link} is a link in ${directory}, where others can write`;
    expect(await readPidFile(join(link, basename(of)))).toMatchObject({
      process: undefined,
      refusal: { problem },
    });
    // What root has linked, such as /var/run, is followed.
    await chown(directory, 0, 0);
    expect(await readPidFile(join(link, basename(of)))).toMatchObject({ refusal: undefined });
    expect((await readPidFile(path)).process).toBeUndefined();
  });

  test("is also a file of root in root's directory below one of that user, who may have moved it there", async () => {
    const { path, directory } = await pidFile(await daemon(SLEEP));
    const above = dirname(directory);
    await chown(above, SERVICE_USER, SERVICE_USER);
    expect(await readPidFile(path)).toMatchObject({ writer: SERVICE_USER, refusal: expect.anything() });
    await chown(directory, SERVICE_USER + 1, SERVICE_USER + 1);
    expect((await readPidFile(path)).refusal?.problem).toContain(`other users can write to ${above}`);
  });

  test('sends the KILL only to the processes of the group that belong to that user', async () => {
    const leader = await daemon('sleep 300 & sleep 300 & wait', SERVICE_USER);
    const { path } = await pidFile(leader, { uid: SERVICE_USER });
    await expect.poll(() => groupMembers(leader)).toHaveLength(3);
    await killProcess(await readPidFile(path));
    await expect.poll(() => groupMembers(leader)).toEqual([]);

    // setpriv by root, in the group of a leader that becomes the service's user.
    const mixed = await daemon(
      `sleep 300 & exec setpriv --reuid=${SERVICE_USER} --regid=${SERVICE_USER} --clear-groups sleep 300`,
    );
    const other = await pidFile(mixed, { uid: SERVICE_USER });
    await expect.poll(async () => (await readPidFile(other.path)).refusal).toBeUndefined();
    await killProcess(await readPidFile(other.path));
    await ended(mixed);
    expect(await groupMembers(mixed)).toHaveLength(1);
  });
});

test('a KILL goes to the whole group of a process that leads one, and to it alone where it leads none', async () => {
  const leader = await daemon('sleep 300 & sleep 300 & wait');
  await expect.poll(() => groupMembers(leader)).toHaveLength(3);
  const [member = 0] = (await groupMembers(leader)).filter((pid) => pid !== leader);
  await killProcess(await readPidFile((await pidFile(member)).path));
  await ended(member);
  expect(await runs(leader)).toBe(true);
  await killProcess(await readPidFile((await pidFile(leader)).path));
  await expect.poll(() => groupMembers(leader)).toEqual([]);
});

test('a pid that was reused by another process is not killed', async () => {
  const pid = await daemon(SLEEP);
  const named = await readPidFile((await pidFile(pid)).path);
  await killProcess({ ...named, process: { pid, group: pid, startTime: '1' } });
  expect(await runs(pid)).toBe(true);
});
