import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runVerify, whyNotRunnable } from '../../../../publisher/checks/run-verify.ts';

let cwd: string;
beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'verify-'));
  await writeFile(join(cwd, 'smoke'), '#!/bin/sh\nexit 0\n');
  await chmod(join(cwd, 'smoke'), 0o755);
  await writeFile(join(cwd, 'plain'), 'no program');
});
afterAll(async () => {
  delete process.env.SMOKE_TOKEN;
  await rm(cwd, { recursive: true });
});

const shell = (script: string, more: { timeoutMs?: number; signal?: AbortSignal } = {}) =>
  runVerify(
    {
      run: ['/bin/sh', '-c', script],
      cwd,
      variables: { TRIGGER_DEPLOY_VERSION: '1.1.0' },
      timeoutMs: 30_000,
      ...more,
    },
    more.signal ?? new AbortController().signal,
  );
const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const pidIn = async (file: string) =>
  await expect
    .poll(() => readFile(join(cwd, file), 'utf8').catch(() => ''), { timeout: 10_000 })
    .toMatch(/^\d+\n$/)
    .then(async () => Number(await readFile(join(cwd, file), 'utf8')));
const ended = (pid: number) => expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);

describe('the command', () => {
  test('passes with the exit code 0, and its output is kept, cleaned', async () => {
    const { why, output } = await shell('echo out; printf "\\033[31mred\\n" >&2');
    expect(why).toBeUndefined();
    expect(output.split('\n').sort()).toEqual(['', 'out', 'red']);
  });

  test('runs in the directory of the config, with the variables of this process and its own', async () => {
    process.env.SMOKE_TOKEN = 'of the person';
    const { output } = await shell('pwd; echo "$SMOKE_TOKEN $TRIGGER_DEPLOY_VERSION"');
    expect(output).toBe(`${cwd}\nof the person 1.1.0\n`);
    const own = { run: ['./smoke'], cwd, variables: {}, timeoutMs: 10_000 };
    expect(await runVerify(own, new AbortController().signal)).toMatchObject({ why: undefined });
  });

  test('gets its arguments as they are, without a shell', async () => {
    const command = { run: ['/bin/echo', '$HOME; *'], cwd, variables: {}, timeoutMs: 10_000 };
    expect((await runVerify(command, new AbortController().signal)).output).toBe('$HOME; *\n');
  });

  test.each([
    ['exit 3', 'exit code 3'],
    ['kill -9 $$', 'ended by SIGKILL'],
  ])('does not pass: %s', async (script, why) => {
    expect(await shell(script)).toMatchObject({ why });
  });

  test('that is not there does not pass', async () => {
    const command = { run: ['./nothing'], cwd, variables: {}, timeoutMs: 10_000 };
    const { why } = await runVerify(command, new AbortController().signal);
    expect(why).toMatch(/^cannot run \.\/nothing: .*ENOENT/);
  });

  test('leaves at most the last 4 KiB of its output', async () => {
    const { output } = await shell('i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done');
    expect(output.length).toBeLessThanOrEqual(4096);
    expect(output).toMatch(/line 2999\n$/);
  });

  test('is ended with its children at the timeout, also if they ignore TERM', async () => {
    const script = "(trap '' TERM; echo $$ > late; while :; do sleep 0.1; done) & echo said; wait";
    const result = await shell(script.replace('echo $$', "sh -c 'echo $PPID'"), { timeoutMs: 700 });
    expect(result).toEqual({ why: 'not finished after 700 ms', output: 'said\n' });
    await ended(await pidIn('late'));
  });

  test('is ended with its children when the publisher stops', async () => {
    const stop = new AbortController();
    const running = shell('sleep 60 & echo $! > child; wait', { signal: stop.signal });
    const child = await pidIn('child');
    stop.abort(new Error('Ctrl-C'));
    await expect(running).rejects.toThrow('Ctrl-C');
    await ended(child);
  });

  test('does not wait for a process that it leaves behind', async () => {
    const { why, output } = await shell('sleep 60 & echo $! > left; echo done');
    expect({ why, output }).toEqual({ why: undefined, output: 'done\n' });
    process.kill(await pidIn('left'), 'SIGKILL');
  });
});

describe('the program of the command', () => {
  test('is looked for in the directory of the config, or in the PATH', async () => {
    expect(await whyNotRunnable(['./smoke'], cwd)).toBeUndefined();
    expect(await whyNotRunnable(['sh', '-c', 'true'], cwd)).toBeUndefined();
    expect(await whyNotRunnable(['./plain'], cwd)).toBe(
      `there is no executable ./plain at ${join(cwd, 'plain')}`,
    );
    expect(await whyNotRunnable(['smoke'], cwd)).toBe('there is no executable smoke in the PATH');
    await mkdir(join(cwd, 'directory'));
    expect(await whyNotRunnable(['./directory'], cwd)).toContain('there is no executable ./directory at ');
    expect(await whyNotRunnable(['directory'], cwd, cwd)).toBe(
      'there is no executable directory in the PATH',
    );
  });
});
