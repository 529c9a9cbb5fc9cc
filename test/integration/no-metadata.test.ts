import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeMinimalConfig } from '../support/agent/minimal-config.ts';
import { AGENT, startProgram } from '../support/programs.ts';

/** An instance whose metadata does not answer, and whose config does not say who it is. */

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'trigger-deploy-metadata-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test('an agent that waits for the instance metadata says so, and a stop of it is no failure', async () => {
  const config = await writeMinimalConfig(dir);
  // No server answers there.
  const env = { AWS_EC2_METADATA_SERVICE_ENDPOINT: 'http://127.0.0.1:1' };
  const agent = startProgram([AGENT, 'run', '--config', config], { env, cwd: dir });
  await agent.line((line) => line.includes('reading the instance metadata failed'));
  agent.process.kill('SIGTERM');
  const finished = await agent.finished;
  expect(finished).toMatchObject({ code: 0, stderr: '' });
  expect(finished.stdout).toContain('"msg":"stopped"');
});
