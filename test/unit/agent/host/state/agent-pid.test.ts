import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { findAgent, forgetPresence, notePresence } from '../../../../../agent/host/state/agent-pid.ts';
import { temporaryDirectory } from '../../../../support/host/temporary.ts';

let state: string;
beforeEach(async () => {
  state = join(await temporaryDirectory(), 'state');
});

test('an agent is found from its note until it takes that back', async () => {
  expect(await findAgent(state)).toBeUndefined();
  await notePresence(state, '0.1.0');
  expect(await findAgent(state)).toMatchObject({ pid: process.pid, version: '0.1.0' });
  await forgetPresence(state);
  expect(await findAgent(state)).toBeUndefined();
});

test.each([
  ['a process of that pid that started at another time', { startTime: '1' }],
  ['no process of that pid', { pid: 2 ** 22 + 1 }],
])('a note of an agent that was killed, with %s now, is none', async (_, change) => {
  await notePresence(state, '0.1.0');
  const noted = await findAgent(state);
  await writeFile(join(state, 'agent.json'), JSON.stringify({ ...noted, ...change }));
  expect(await findAgent(state)).toBeUndefined();
});

test('half a note is none', async () => {
  await notePresence(state, '0.1.0');
  await writeFile(join(state, 'agent.json'), '{"pid":');
  expect(await findAgent(state)).toBeUndefined();
});
