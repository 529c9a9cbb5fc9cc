import { chmod, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runAs, userOfAgent } from '../../../../../agent/host/process/agent-user.ts';
import { programsOnPath, temporaryDirectory } from '../../../../support/host/temporary.ts';
import { AGENT, startProgram } from '../../../../support/programs.ts';

const signal = AbortSignal.timeout(60_000);
const isRoot = process.getuid?.() === 0;

test('the user of the agent is that of its unit', async () => {
  await programsOnPath({ systemctl: '[ "$2" = trigger-deploy-agent.service ] && echo nobody' });
  expect(await userOfAgent(signal)).toBe('nobody');
  await programsOnPath({ systemctl: 'echo' });
  expect(await userOfAgent(signal)).toBeUndefined();
  await programsOnPath({ systemctl: 'echo root' });
  expect(await userOfAgent(signal)).toBeUndefined();
  await programsOnPath({ systemctl: 'echo no systemd here >&2; exit 1' });
  expect(await userOfAgent(signal)).toBeUndefined();
});

test('a user of the unit who does not exist is named with the unit', async () => {
  await expect(runAs('nobody-of-this-name', ['true'], signal)).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: 'trigger-deploy-agent.service: there is no user nobody-of-this-name',
  });
});

test.runIf(isRoot)('a command that looks for the agent has its rights (left out without root)', async () => {
  const directory = await temporaryDirectory();
  await chmod(directory, 0o777);
  const file = join(directory, 'uid');
  expect(await runAs('nobody', ['sh', '-c', `id -u >${file}; echo $HOME >>${file}; exit 3`], signal)).toBe(3);
  expect(await readFile(file, 'utf8')).toMatch(/^[1-9]\d*\n\/\w+/);
});

test.runIf(isRoot)('check by root says whose rights it uses (left out without root)', async () => {
  const bin = await programsOnPath({ systemctl: 'echo nobody-of-this-name' });
  const env = { PATH: `${bin}:${process.env.PATH}` };
  const { code, stderr } = await startProgram([AGENT, 'check', '--config', '/nowhere'], { env, cwd: '/' })
    .finished;
  expect(code).toBe(1);
  expect(stderr).toContain('the agent runs as nobody-of-this-name');
  expect(stderr).toContain('trigger-deploy-agent.service: there is no user nobody-of-this-name');
});
