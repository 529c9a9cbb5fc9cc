import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import {
  findRunningAgent,
  removeAgentPid,
  writeAgentPid,
} from '../../../../../agent/host/state/agent-pid.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

let state: string;
beforeEach(async () => {
  state = join(await temporaryDirectory(), 'state');
});

test('an agent is found from the write of its pid until the removal', async () => {
  expect(await findRunningAgent(state)).toBeUndefined();
  await writeAgentPid(state, '0.1.0');
  expect(await findRunningAgent(state)).toMatchObject({ pid: process.pid, version: '0.1.0' });
  await removeAgentPid(state);
  expect(await findRunningAgent(state)).toBeUndefined();
});

test.each([
  ['a process of that pid that started at another time', { startTime: '1' }],
  ['no process of that pid', { pid: 2 ** 22 + 1 }],
])('a note of an agent that was killed, with %s now, is none', async (_, change) => {
  await writeAgentPid(state, '0.1.0');
  const noted = await findRunningAgent(state);
  await writeFile(join(state, 'agent.json'), JSON.stringify({ ...noted, ...change }));
  expect(await findRunningAgent(state)).toBeUndefined();
});

test('a truncated file is ignored', async () => {
  await writeAgentPid(state, '0.1.0');
  await writeFile(join(state, 'agent.json'), '{"pid":');
  expect(await findRunningAgent(state)).toBeUndefined();
});
