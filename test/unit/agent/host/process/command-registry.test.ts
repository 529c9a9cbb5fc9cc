import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { openCommandRegistry } from '../../../../../agent/host/process/command-registry.ts';
import { findProcess } from '../../../../../agent/host/process/proc.ts';
import { calm } from '../../../../support/host/clock.ts';
import { ended, runs } from '../../../../support/host/processes.ts';
import { namesBelow, temporaryDirectory } from '../../../../support/host/temporary.ts';

/** Commands that an agent leaves running when it is killed, and what the next agent does about them. */

const quick = { signal: calm, timeout: 5000 };

/** A command that a killed agent left running, with its file. */
async function left(directory: string, script: string, changes: Record<string, unknown> = {}) {
  const child = spawn('/bin/sh', ['-c', script], { detached: true, stdio: 'ignore' });
  const group = child.pid ?? 0;
  onTestFinished(() => void child.kill('SIGKILL'));
  const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const { startTime } = (await findProcess(group)) ?? {};
  const note = { boot, group, startTime, whenLeft: 'end', until: Date.now() + 60_000, ...changes };
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, `${group}.json`), JSON.stringify(note));
  return group;
}

test('a command has a file while it runs, and not afterwards', async () => {
  const directory = join(await temporaryDirectory(), 'commands');
  const { repeatable } = await openCommandRegistry(directory, calm);
  const untilNoted = ['/bin/sh', '-c', `until [ -e ${directory}/$$.json ]; do sleep 0.01; done`];
  expect((await repeatable(untilNoted, quick)).exitCode).toBe(0);
  expect(await namesBelow(directory)).toEqual([]);
});

test('a hook left by a killed agent is ended, with its whole group, before the next command starts', async () => {
  const directory = await temporaryDirectory();
  const group = await left(directory, 'sleep 300; true');
  const { repeatable } = await openCommandRegistry(directory, calm);
  const { exitCode } = await repeatable(['/bin/sh', '-c', `! kill -0 -- -${group}`], quick);
  expect(exitCode).toBe(0);
  expect(await namesBelow(directory)).toEqual([]);
});

test('a start command left by a killed agent is waited for', async () => {
  const directory = await temporaryDirectory();
  const done = join(await temporaryDirectory(), 'done');
  await left(directory, `sleep 0.3; : >${done}`, { whenLeft: 'await' });
  const { indivisible } = await openCommandRegistry(directory, calm);
  expect((await indivisible(['/bin/sh', '-c', `test -e ${done}`], quick)).exitCode).toBe(0);
});

test('a leftover start command is ended at its timeout', async () => {
  const directory = await temporaryDirectory();
  const group = await left(directory, 'sleep 300; true', { whenLeft: 'await', until: Date.now() + 100 });
  const { indivisible } = await openCommandRegistry(directory, calm);
  await indivisible(['/bin/true'], quick);
  await ended(group);
});

test('another process with the same pid is not ended, nor is one of another boot', async () => {
  const directory = await temporaryDirectory();
  const other = await left(directory, 'sleep 300; true', { startTime: '1' });
  const booted = await left(directory, 'sleep 300; true', { boot: 'another' });
  const { repeatable } = await openCommandRegistry(directory, calm);
  await repeatable(['/bin/true'], quick);
  expect([await runs(other), await runs(booted)]).toEqual([true, true]);
  expect(await namesBelow(directory)).toEqual([]);
});

test('a truncated file does not delay the next command', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, '77.json'), '{"boot":');
  const { repeatable } = await openCommandRegistry(directory, calm);
  expect((await repeatable(['/bin/true'], quick)).exitCode).toBe(0);
  expect(await namesBelow(directory)).toEqual([]);
});

test('an agent that is stopped does not wait, and the files of leftovers stay', async () => {
  const directory = await temporaryDirectory();
  const group = await left(directory, 'sleep 300; true', { whenLeft: 'await' });
  const stopping = new AbortController();
  const { repeatable } = await openCommandRegistry(directory, stopping.signal);
  const waiting = repeatable(['/bin/true'], { signal: stopping.signal, timeout: 5000 });
  stopping.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow();
  expect(await namesBelow(directory)).toEqual([`${group}.json`]);
});

test('a command that did not end after KILL keeps its file: the next agent ends it', async () => {
  const directory = join(await temporaryDirectory(), 'commands');
  const { repeatable } = await openCommandRegistry(directory, calm);
  // As for a process that waits for a file system that hangs: no signal ends it.
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  onTestFinished(() => kill.mockRestore());
  const { timedOut } = await repeatable(['/bin/sleep', '300'], { ...quick, timeout: 200, killAfter: 100 });
  kill.mockRestore();
  expect(timedOut).toBe(true);
  const [file = ''] = await namesBelow(directory);
  const next = await openCommandRegistry(directory, calm);
  await next.repeatable(['/bin/true'], quick);
  await ended(Number.parseInt(file, 10));
  expect(await namesBelow(directory)).toEqual([]);
});
