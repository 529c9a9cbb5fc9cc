import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { takeAgentLock } from '../../../../../agent/host/state/agent-lock.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';
import { proved } from '../../../../support/reliability.ts';

const SOCKET = /^agent-[0-9a-f]{12}\.sock$/;
let state: string;
beforeEach(async () => {
  state = await temporaryDirectory();
});

const LOCK = fileURLToPath(new URL('../../../../../agent/host/state/agent-lock.ts', import.meta.url));

/** Another process that has the lock, until it is killed. */
async function otherAgent() {
  const script = `
    import { takeAgentLock } from ${JSON.stringify(LOCK)};
    await takeAgentLock(${JSON.stringify(state)});
    console.log('taken');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: 'pipe' });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child;
}

test('a second agent is refused with the pid of the first, and takes over when that is killed', async () => {
  const first = await otherAgent();
  await expect(takeAgentLock(state)).rejects.toMatchObject({
    code: 'LOCKED',
    message: expect.stringContaining(`another agent (pid ${first.pid}) uses the state directory ${state}`),
  });
  first.kill('SIGKILL');
  await once(first, 'exit');
  (await takeAgentLock(state)).release();
  proved('two-agents', 'refused while the first lives, taken over after its SIGKILL');
});

test('an agent that is stopped with SIGSTOP still holds the lock', async () => {
  const first = await otherAgent();
  first.kill('SIGSTOP');
  await expect(takeAgentLock(state)).rejects.toMatchObject({ code: 'LOCKED' });
});

test('a lock that was released can be taken, and leaves nothing', async () => {
  (await takeAgentLock(state)).release();
  const lock = await takeAgentLock(state);
  expect(await readdir(state)).toEqual([expect.stringMatching(SOCKET)]);
  lock.release();
  expect(await readdir(state)).toEqual([]);
});

test.each([
  ['a file', (path: string) => writeFile(path, '123')],
  ['a directory', (path: string) => mkdir(path)],
])('%s in the place of the lock is removed', async (_, occupy) => {
  await occupy(join(state, 'agent-0123456789ab.sock'));
  const lock = await takeAgentLock(state);
  onTestFinished(lock.release);
  expect(await readdir(state)).toEqual([expect.stringMatching(SOCKET)]);
  await expect(takeAgentLock(state)).rejects.toMatchObject({ code: 'LOCKED' });
});

test('a note of a pid that is used again by another program does not keep an agent from starting', async () => {
  const note = { pid: 1, startTime: '1', version: '0.1.0', since: new Date().toISOString() };
  await writeFile(join(state, 'agent.json'), JSON.stringify(note));
  (await takeAgentLock(state)).release();
});

test('a state directory whose path is too long for a socket does not keep an agent from starting', async () => {
  const deep = join(state, 'd'.repeat(120));
  (await takeAgentLock(deep)).release();
});

test('of many that find the lock of a dead agent at once, one gets it', async () => {
  const dead = await otherAgent();
  dead.kill('SIGKILL');
  await once(dead, 'exit');
  const taken = await Promise.allSettled(Array.from({ length: 10 }, () => takeAgentLock(state)));
  const locks = taken.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
  for (const lock of locks) onTestFinished(lock.release);
  expect(locks).toHaveLength(1);
});

test('a program that asks for the pid and goes away does no harm', async () => {
  const lock = await takeAgentLock(state);
  onTestFinished(lock.release);
  const socket = createConnection({ path: join(state, (await readdir(state))[0] ?? '') });
  await once(socket, 'connect');
  socket.destroy();
  await expect(takeAgentLock(state)).rejects.toMatchObject({ code: 'LOCKED' });
});
