import { access, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';

/** The command on the PATH of an instance, with an environment file and a program of the test. */

async function wrapper(environmentFile: string | undefined) {
  const dir = await mkdtemp(join(tmpdir(), 'trigger-deploy-wrapper-'));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  const text = await readFile('systemd/agent/trigger-deploy-agent', 'utf8');
  await writeFile(
    join(dir, 'wrapper'),
    text
      .replaceAll('/etc/default/trigger-deploy-agent', join(dir, 'environment'))
      .replaceAll('/usr/lib/trigger-deploy-agent/', `${dir}/`),
  );
  const record = 'printf "%s\\n" "$@" >"$d/arguments"; env -0 >"$d/seen"';
  await writeFile(join(dir, 'node'), `#!/bin/sh\nd=${dir}\n${record}\n`, { mode: 0o755 });
  if (environmentFile !== undefined) await writeFile(join(dir, 'environment'), environmentFile);
  return {
    dir,
    /** The variables that the program gets from the file. */
    async seen(shell = 'sh', args: string[] = []): Promise<Record<string, string>> {
      const env = { PATH: process.env.PATH ?? '' };
      const { stdout, stderr } = await execa(shell, [join(dir, 'wrapper'), ...args], {
        ...{ env, extendEnv: false, cwd: dir },
      });
      expect(stdout + stderr).toBe('');
      const seen = (await readFile(join(dir, 'seen'), 'utf8')).split('\0').filter((line) => line !== '');
      const always = new Set(['PATH', 'PWD', 'SHLVL', 'OLDPWD', '_']);
      return Object.fromEntries(
        seen
          .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const)
          .filter(([name]) => !always.has(name)),
      );
    },
  };
}

const AWKWARD = `# a comment, and FOO=bar in it
; another

NO_PROXY=169.254.169.254, 10.0.0.0/8
HTTPS_PROXY=http://user:p&ss;w$(touch run-1)\`touch run-2\`|x@proxy:3128/?a=b#c
  SPACED  =  two  words\t
DOUBLE="in quotes, $HOME * "
SINGLE='in "quotes" '
EMPTY=
QUOTED_EMPTY=""
ONE_QUOTE="
GLOB=/*
TILDE=~root
WINDOWS=ends with a carriage return\r
export NOT_A_NAME=1
1ST=1
a-b=1
touch run-3
=nothing
LAST=no newline`;

test.each(['sh', 'bash'])('values are taken literally and not executed (%s)', async (shell) => {
  if (shell !== 'sh' && (await execa('which', [shell], { reject: false })).failed) return;
  const { dir, seen } = await wrapper(AWKWARD);
  expect(await seen(shell)).toEqual({
    NO_PROXY: '169.254.169.254, 10.0.0.0/8',
    HTTPS_PROXY: 'http://user:p&ss;w$(touch run-1)`touch run-2`|x@proxy:3128/?a=b#c',
    SPACED: 'two  words',
    DOUBLE: 'in quotes, $HOME * ',
    SINGLE: 'in "quotes" ',
    EMPTY: '',
    QUOTED_EMPTY: '',
    ONE_QUOTE: '"',
    GLOB: '/*',
    TILDE: '~root',
    WINDOWS: 'ends with a carriage return',
    LAST: 'no newline',
  });
  for (const name of ['run-1', 'run-2', 'run-3']) {
    await expect(access(join(dir, name))).rejects.toMatchObject({ code: 'ENOENT' });
  }
});

test('the arguments reach the program unchanged, also without an environment file', async () => {
  const { dir, seen } = await wrapper(undefined);
  expect(await seen('sh', ['deploy', 'pay', 'a file.jar', '--version', '*'])).toEqual({});
  const given = (await readFile(join(dir, 'arguments'), 'utf8')).trimEnd().split('\n');
  expect(given).toEqual([
    join(dir, 'trigger-deploy-agent.js'),
    'deploy',
    'pay',
    'a file.jar',
    '--version',
    '*',
  ]);
});
