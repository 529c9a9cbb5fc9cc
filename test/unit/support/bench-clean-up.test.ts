import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { findProcessNow } from '../../../agent/host/process/proc.ts';
import { cleanUp, closeDirectory, makeDirectory } from '../../bench/clean-up.ts';

/** A service as an agent starts it: it has a session of its own, and what started it has ended. */
async function startService(home: string): Promise<number> {
  const child = spawn('/bin/sh', ['-c', 'setsid sleep 600 >/dev/null & echo $!'], {
    env: { PATH: process.env.PATH, HOME: home },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [pid] = await once(child.stdout, 'data');
  await once(child, 'exit');
  return Number(pid);
}

test('a directory of the benchmark is closed with the services of its agents, and with no others', async () => {
  const directories = [await makeDirectory('one'), await makeDirectory('one')] as const;
  const [first, second] = [await startService(directories[0]), await startService(`${directories[1]}/agent`)];
  closeDirectory(directories[0]);
  expect(existsSync(directories[0])).toBe(false);
  expect(findProcessNow(first)).toBeUndefined();
  expect(findProcessNow(second)).toBeDefined();
  closeDirectory(directories[1], 'keep');
  expect(findProcessNow(second)).toBeUndefined();
  expect(existsSync(directories[1])).toBe(true);
  rmSync(directories[1], { recursive: true });
});

test('what is left at the end is ended and removed: directories, their services and other processes', async () => {
  const directory = await makeDirectory('one');
  const [own, other] = [await startService(directory), await startService('/')];
  cleanUp(() => (findProcessNow(other) === undefined ? [] : [other]));
  expect(existsSync(directory)).toBe(false);
  expect([own, other].map(findProcessNow)).toEqual([undefined, undefined]);
});
