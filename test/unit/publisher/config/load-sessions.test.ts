import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadEnvironment } from '../../../../publisher/config/load.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'config-sessions-'));
});
afterEach(() => rm(cwd, { recursive: true }));

async function load(sessions: string) {
  const text = `environments:
  prd:
    region: eu-west-1
    topic: arn:aws:sns:eu-west-1:123456789012:trigger-deploy-prd
    bucket: b-prd
    sessions: ${sessions}
`;
  await writeFile(join(cwd, 'trigger-deploy.yaml'), text);
  const source = { cwd, home: cwd, variables: {}, file: undefined };
  return (await loadEnvironment(source, { name: 'prd', orHome: false })).sessions;
}

it('sessions names the role session of each instance that has another name', async () => {
  const sessions = { 'web-1': 'rack-7', 'web-2': 'AIDASERVER' };
  expect(await load(JSON.stringify(sessions))).toEqual(sessions);
});

it.each([
  [
    '{ web-1: rack-7, web-2: rack-7 }',
    /web-2: expected a role session of its own, found rack-7, .* of web-1/,
  ],
  ['{ web-1: rack-7, web-2: "AROAX:rack-7" }', /web-2: expected a role session of its own/],
  ['{ web-1: "a b" }', /web-1: expected the name of a role session/],
  ['{ "../x": rack-7 }', /an instance id is/],
  ['rack-7', /expected role sessions by instance/],
])('sessions: %s is refused', async (sessions, text) => {
  await expect(load(sessions)).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    detail: expect.stringMatching(text),
  });
});
