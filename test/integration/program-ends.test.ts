import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeMinimalConfig } from '../support/agent/minimal-config.ts';
import { AGENT, PUBLISHER, startProgram } from '../support/programs.ts';

/** How the two programs end when something in them never does, and what a second agent says. */

let dir: string;
let config: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'trigger-deploy-ends-'));
  config = await writeMinimalConfig(dir);
  await writeFile(join(dir, 'trigger-deploy.yaml'), '');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Reading a file never returns, and keeps no handle: the program would end with code 13. */
const NEVER_READS = `--import=data:text/javascript,${encodeURIComponent(
  `import { promises } from 'node:fs';
  import { syncBuiltinESMExports } from 'node:module';
  promises.readFile = () => new Promise(() => {});
  syncBuiltinESMExports();`,
)}`;
// No server answers there.
const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' };

test.each([
  ['agent', AGENT, ['status', '--config', 'agent.yaml']],
  ['publisher', PUBLISHER, ['status', 'payments']],
] as const)(
  'the %s says that it waits for something that never ends, and fails',
  async (_, program, args) => {
    const { finished } = startProgram([NEVER_READS, program, ...args], { env, cwd: dir });
    const { code, stderr } = await finished;
    expect(stderr).toContain('internal error: the');
    expect(stderr).toContain('waits for something that never ends');
    expect(stderr).not.toContain('unsettled');
    expect(code).toBe(1);
  },
);

test('a second agent with the same state directory is refused, and the first is not disturbed', async () => {
  const first = startProgram([AGENT, 'run', '--config', config], { env, cwd: dir });
  await first.line((line) => line.includes('reading the instance metadata failed'));
  const second = await startProgram([AGENT, 'run', '--config', config], { env, cwd: dir }).finished;
  expect(second.code).toBe(1);
  expect(second.stderr).toContain(`another agent (pid ${first.process.pid}) uses the state directory`);
  first.process.kill('SIGTERM');
  expect(await first.finished).toMatchObject({ code: 0 });
});
