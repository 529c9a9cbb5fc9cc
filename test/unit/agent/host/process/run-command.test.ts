import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { runCommand } from '../../../../../agent/host/process/run-command.ts';
import { calm } from '../../../../support/host/clock.ts';
import { ended, pidIn, runs } from '../../../../support/host/processes.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';
import { mallocOfTheUnit } from '../../../../support/host/unit-heap.ts';

const sh = (script: string) => ['/bin/sh', '-c', script];
const quick = { signal: calm, timeout: 20_000 };

test('the result has the exit code, all output, and stdout alone', async () => {
  const result = await runCommand(sh('echo out; echo err >&2; exit 3'), quick);
  expect(result).toMatchObject({ exitCode: 3, timedOut: false, stdout: 'out\n' });
  expect(result.output.split('\n').sort()).toEqual(['', 'err', 'out']);
});

test('no output is lost when the agent is held up between the end of the command and its output', async () => {
  const go = join(await temporaryDirectory(), 'go');
  const begun = Promise.withResolvers<number>();
  const result = runCommand(sh(`until [ -e ${go} ]; do sleep 0.01; done; echo out`), {
    ...quick,
    begun: begun.resolve,
  });
  const pid = await begun.promise;
  // Node reaps all children at once: the end of another child makes it see the end of this one before its output.
  const other = spawn('echo', ['other'], { stdio: ['ignore', 'pipe', 'ignore'] });
  other.stdout.once('data', () => {
    writeFileSync(go, '');
    blockUntil(() => isZombie(pid));
  });
  other.once('exit', () => setImmediate(() => blockFor(1000)));
  blockUntil(() => isZombie(other.pid ?? 0));
  expect(await result).toMatchObject({ exitCode: 0, stdout: 'out\n' });
});

const isZombie = (pid: number) => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
const blockFor = (ms: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
function blockUntil(condition: () => boolean): void {
  while (!condition()) blockFor(2);
}

test('the arguments are not interpreted by a shell', async () => {
  const { stdout } = await runCommand(['/bin/echo', '$HOME; rm -rf /', '`id`'], quick);
  expect(stdout).toBe('$HOME; rm -rf / `id`\n');
});

test('the output of a command is safe to print: no escape sequences', async () => {
  const { output } = await runCommand(sh("printf '\\033[31mred\\033[0m\\007\\n'"), quick);
  expect(output).toBe('red\n');
});

test('a command ended by a signal has no exit code', async () => {
  expect(await runCommand(sh('kill -9 $$'), quick)).toMatchObject({ exitCode: null, timedOut: false });
});

test('a command that cannot be started is an error that names it', async () => {
  await expect(runCommand(['/nowhere/hook', 'x'], quick)).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('/nowhere/hook'),
  });
});

test('at the timeout the whole group gets TERM and ends', async () => {
  const directory = await temporaryDirectory();
  const child = join(directory, 'child');
  const result = await runCommand(sh(`sleep 300 & echo $! > ${child}; wait`), {
    signal: calm,
    timeout: 1500,
  });
  expect(result).toMatchObject({ timedOut: true });
  await ended(await pidIn(child));
});

test('a child that ignores TERM gets KILL, although the leader ended long before', async () => {
  const child = join(await temporaryDirectory(), 'child');
  const result = await runCommand(
    sh(`(trap "" TERM; echo $(exec sh -c 'echo $PPID') > ${child}; while :; do sleep 0.1; done) & wait`),
    { signal: calm, timeout: 1500, killAfter: 300 },
  );
  expect(result).toMatchObject({ timedOut: true });
  await ended(await pidIn(child));
});

test('a command that does not end after KILL is left after seconds, and the output says so', async () => {
  const child = join(await temporaryDirectory(), 'child');
  // As for a process that waits for a file system that hangs: no signal ends it.
  const kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  onTestFinished(() => kill.mockRestore());
  const started = performance.now();
  const result = await runCommand(sh(`echo $$ > ${child}; exec sleep 300`), {
    ...{ signal: calm, timeout: 500, killAfter: 100 },
  });
  expect(performance.now() - started).toBeLessThan(30_000);
  kill.mockRestore();
  const pid = await pidIn(child);
  expect(await runs(pid)).toBe(true);
  process.kill(pid, 'SIGKILL');
  expect(result).toMatchObject({ exitCode: null, timedOut: true });
  expect(result.output).toContain(`process ${pid} did not end after SIGKILL`);
});

test('an abort of a command that does not end after KILL throws the reason after seconds', async () => {
  const child = join(await temporaryDirectory(), 'child');
  const controller = new AbortController();
  const running = runCommand(sh(`echo $$ > ${child}; exec sleep 300`), {
    ...{ signal: controller.signal, timeout: 60_000, killAfter: 100 },
  });
  const pid = await pidIn(child);
  // As for an agent that is not root, and a command that is.
  const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
    throw new Error('EPERM');
  });
  onTestFinished(() => kill.mockRestore());
  controller.abort(new Error('stop it'));
  await expect(running).rejects.toThrow('stop it');
  kill.mockRestore();
  process.kill(pid, 'SIGKILL');
});

test('a daemon that a command leaves running is not waited for, although it holds the pipes, and is not ended', async () => {
  const child = join(await temporaryDirectory(), 'child');
  const started = performance.now();
  const result = await runCommand(
    sh(`(while :; do echo tick; sleep 0.02; done) & echo $! > ${child}; echo started`),
    { signal: calm, timeout: 60_000 },
  );
  expect(performance.now() - started).toBeLessThan(30_000);
  expect(result.exitCode).toBe(0);
  expect(result.stdout).toContain('started');
  const pid = await pidIn(child);
  onTestFinished(() => void process.kill(pid, 'SIGKILL'));
  // It has written many times by then: a closed pipe would have ended it by SIGPIPE.
  await sleep(200);
  expect(await runs(pid)).toBe(true);
});

test('an abort ends the group and throws the reason', async () => {
  const child = join(await temporaryDirectory(), 'child');
  const controller = new AbortController();
  const running = runCommand(sh(`echo $$ > ${child}; sleep 300`), {
    signal: controller.signal,
    timeout: 60_000,
  });
  const pid = await pidIn(child);
  controller.abort(new Error('stop it'));
  await expect(running).rejects.toThrow('stop it');
  expect(await runs(pid)).toBe(false);
});

test('nothing is started once the signal has aborted', async () => {
  const marker = join(await temporaryDirectory(), 'marker');
  await expect(
    runCommand(['/bin/touch', marker], { signal: AbortSignal.abort(new Error('over')), timeout: 1000 }),
  ).rejects.toThrow('over');
  await expect(runCommand(['/bin/cat', marker], quick)).resolves.toMatchObject({ exitCode: 1 });
});

test('endless output is bounded: only its end is kept', async () => {
  const { stdout, output, timedOut } = await runCommand(['/usr/bin/yes', 'forever'], {
    signal: calm,
    timeout: 1500,
  });
  expect(timedOut).toBe(true);
  expect(stdout.length).toBeLessThanOrEqual(1024 * 1024);
  expect(Buffer.byteLength(output)).toBeLessThanOrEqual(16 * 1024);
  expect(output).toContain('forever\n');
});

test('a command that prints 100 MB is not held up by the reading of its output', async () => {
  // It takes a second. The bound is for a loaded machine.
  const script = sh('yes 0123456789 | head -c 100000000; echo end');
  const { exitCode, stdout, output } = await runCommand(script, { signal: calm, timeout: 60_000 });
  expect(exitCode).toBe(0);
  expect(stdout.length).toBe(1024 * 1024);
  expect(output).toMatch(/end\n$/);
});

test("the agent's credentials, its systemd variables and its unit's malloc are not inherited, the others are", async () => {
  const malloc = await mallocOfTheUnit();
  for (const [name, value] of Object.entries(malloc)) vi.stubEnv(name, value);
  vi.stubEnv('NOTIFY_SOCKET', '/run/notify');
  vi.stubEnv('WATCHDOG_USEC', '1');
  vi.stubEnv('WATCHDOG_PID', '1');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_WEB_IDENTITY_TOKEN_FILE', '/secret');
  vi.stubEnv('AWS_CONTAINER_AUTHORIZATION_TOKEN', 'secret');
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  onTestFinished(() => void vi.unstubAllEnvs());
  const { stdout } = await runCommand(['/usr/bin/env'], {
    ...quick,
    env: { TRIGGER_DEPLOY_VERSION: '1.4.2' },
  });
  expect(stdout).not.toMatch(/NOTIFY|WATCHDOG|secret|MALLOC/i);
  expect(stdout).toContain('AWS_REGION=eu-west-1\n');
  expect(stdout).toContain('TRIGGER_DEPLOY_VERSION=1.4.2\n');
});

test('a command runs in the given directory', async () => {
  const directory = await temporaryDirectory();
  expect((await runCommand(['/bin/pwd'], { ...quick, cwd: directory })).stdout).toBe(`${directory}\n`);
});

test("a command of the agent's own user needs no root", async () => {
  const { username, homedir } = userInfo();
  const { stdout } = await runCommand(sh('id -un; echo $HOME'), { ...quick, user: username });
  expect(stdout).toBe(`${username}\n${homedir}\n`);
});

test('a command for another user runs as that user with its groups, or fails where the agent is not root', async () => {
  const other = userInfo().username === 'nobody' ? 'daemon' : 'nobody';
  const running = runCommand(sh('id -un; id -Gn'), { ...quick, user: other });
  if (process.getuid?.() === 0) {
    const { stdout } = await running;
    expect(stdout.split('\n')[0]).toBe(other);
    expect(stdout.split('\n')[1]).not.toContain('root');
  } else {
    await expect(running).rejects.toMatchObject({ code: 'COMMAND_FAILED' });
  }
});

test('an unknown user is an error that names it', async () => {
  await expect(runCommand(['/bin/true'], { ...quick, user: 'nobody-at-all' })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: 'there is no user nobody-at-all',
  });
});
