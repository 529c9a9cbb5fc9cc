import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { completedCommands } from '../../../../publisher/cli/completed-commands.ts';
import { NAMES, VERBS } from '../../../../publisher/cli/verbs.ts';
import { completion } from '../../../../publisher/commands/completion.ts';

let directory: string;
let script: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'completion-'));
  script = join(directory, 'trigger-deploy');
  await writeFile(script, completion('bash', completedCommands(VERBS)));
  await writeFile(join(directory, 'pay ments.jar'), 'jar');
});
afterAll(() => rm(directory, { recursive: true }));

/** What bash offers at the end of `line`; an unfinished word is its last one. */
async function offered(line: string): Promise<string[]> {
  // Outside of a completion that readline asks for, compopt only complains.
  const ask = `compopt() { :; }; source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    $(complete -p trigger-deploy | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout } = await execa('bash', ['-c', ask, script, ...line.split(' ')], { cwd: directory });
  return stdout.split('\n').filter(Boolean);
}

it('bash offers every command first, and those that begin with what is typed', async () => {
  expect(await offered('trigger-deploy ')).toEqual(NAMES);
  expect(await offered('trigger-deploy pro')).toEqual(['promote']);
  expect(await offered('trigger-deploy -e dev re')).toEqual(['restart', 'resume']);
});

it('bash offers the options of the command that is typed, and those of a deployment after a service', async () => {
  expect(await offered('trigger-deploy history payments --f')).toEqual(['--failed']);
  expect(await offered('trigger-deploy history payments --ca')).toEqual([]);
  expect(await offered('trigger-deploy payments 1.4.2 --ca')).toEqual(['--canary']);
  expect(await offered('trigger-deploy push --')).toEqual(expect.arrayContaining(['--config', '--help']));
});

it('bash offers the values of an option, in either form, and nothing where any word can follow', async () => {
  expect(await offered('trigger-deploy status --output ')).toEqual(['table', 'lines', 'json']);
  expect(await offered('trigger-deploy status --output = j')).toEqual(['json']);
  expect(await offered('trigger-deploy payments 1.4.2 --strategy ')).toEqual(['all', 'rolling']);
  expect(await offered('trigger-deploy status --env ')).toEqual([]);
});

it('bash offers files where a file can follow', async () => {
  expect(await offered('trigger-deploy push payments 1.4.2 pay')).toEqual(['pay ments.jar']);
  expect(await offered('trigger-deploy push payments 1.4.2 a.jar pay')).toEqual(['pay ments.jar']);
  expect(await offered('trigger-deploy push pay')).toEqual([]);
  expect(await offered('trigger-deploy status --config-file pay')).toEqual(['pay ments.jar']);
  expect(await offered('trigger-deploy completion ')).toEqual(['bash', 'zsh']);
});

it('zsh has every command and every option with its help', () => {
  const zsh = completion('zsh', completedCommands(VERBS));
  expect(zsh.startsWith('#compdef trigger-deploy\n')).toBe(true);
  for (const name of NAMES) {
    expect(zsh).toContain(`'${name}:${VERBS[name].summary.replaceAll("'", "'\\''")}'`);
    expect(zsh).toMatch(new RegExp(`\\(${name}\\) options=\\('--`));
  }
});
