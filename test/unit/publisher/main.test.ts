import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Cloud, startCloud } from '../../support/cloud/cloud.ts';
import { type Files, type Program, PUBLISHER, startProgram } from '../../support/programs.ts';
import { eventsOf } from '../../support/publisher/events.ts';
import { proved } from '../../support/reliability.ts';
import { jarOf, jarText, ZIP } from '../../support/shared/zip.ts';

const PATIENCE = 30_000;

let cloud: Cloud;
let cwd: string;
let variables: Record<string, string>;
beforeAll(async () => {
  cloud = await startCloud();
  cloud.createBucket('deploys-dev');
  cwd = await mkdtemp(join(tmpdir(), 'main-'));
  variables = {
    ...cloud.env(),
    TRIGGER_DEPLOY_REGION: cloud.region,
    TRIGGER_DEPLOY_TOPIC: cloud.createTopic('trigger-deploy-dev'),
    TRIGGER_DEPLOY_BUCKET: 'deploys-dev',
    TRIGGER_DEPLOY_SIGNING_KEY: 'ci.key.json',
    TRIGGER_DEPLOY_PATH_STYLE: 'true',
  };
  expect(await run('keygen')).toMatchObject({ code: 0 });
  await writeFile(join(cwd, 'app.jar'), jarText('jar'));
}, PATIENCE);
afterAll(async () => {
  await cloud.stop();
  await rm(cwd, { recursive: true });
});

/** The program as a person starts it, with words split at blanks. */
function start(line: string, env: Record<string, string> = {}, files: Files = {}): Program {
  return startProgram([PUBLISHER, ...line.split(' ').filter(Boolean)], {
    ...{ cwd, files },
    env: { ...variables, ...env },
  });
}
const run = (line: string, env?: Record<string, string>) => start(line, env).finished;

it('exits with 2 and one clear line for wrong usage, and sends no request', {
  timeout: PATIENCE,
}, async () => {
  const before = cloud.requests.length;
  const lines = [
    ['payments ../../etc --env dev', '"../../etc" cannot be a version'],
    ['deploy payments 1.0.0 --env dev', 'unknown command: deploy'],
    ['payments 1.0.0', '--env is required'],
    ['payments 1.0.0 --env prd', 'the environment has one mistake'],
    ['push payments 1.0.0 no.jar --env dev', 'cannot push no.jar: there is no such file'],
    ['keygen --name ../ci', '"../ci" cannot name a key file'],
  ] as const;
  await Promise.all(
    lines.map(async ([line, message]) => {
      const { code, stdout, stderr } = await run(line);
      expect({ line, code, stdout }).toEqual({ line, code: 2, stdout: '' });
      expect(stderr.split('\n')[0]).toContain(`trigger-deploy: ${message}`);
      expect(stderr).not.toContain('    at ');
    }),
  );
  expect(cloud.requests.length).toBe(before);
});

it('a verb that only looks prints one answer on stdout in JSON too; what it warns of is on stderr', {
  timeout: PATIENCE,
}, async () => {
  cloud.putObject('deploys-dev', 'state/dev/ledger/instances/AROAEMBEDDEDCLOUD:i-1.json', '{"half":');
  const { code, stdout, stderr } = await run('status -e dev --output json');
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ type: 'status' });
  expect(stderr).toMatch(/^warning: .*i-1\.json is not JSON; ignored$/m);
});

it('exits with 4 when it is refused; with --output json the error is a JSON line', {
  timeout: PATIENCE,
}, async () => {
  expect(await run('push payments 1.0.0 app.jar -e dev')).toMatchObject({ code: 0, stderr: '' });
  const refused = await run('payments 9.9.9 -e dev --output json');
  expect(refused.code).toBe(4);
  expect(eventsOf(refused).at(-1)).toMatchObject({ type: 'error', code: 'VERSION_NOT_FOUND', exitCode: 4 });
  expect(refused.stderr).toBe(
    'trigger-deploy: there is no version 9.9.9 of payments\n  → the newest are 1.0.0; trigger-deploy push creates a version\n',
  );
  const denied = await run('status -e dev', { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' });
  expect(denied).toMatchObject({ code: 4, stderr: expect.stringContaining('no AWS credentials found') });
});

it('exits with 3 when AWS does not answer', { timeout: PATIENCE }, async () => {
  const lost = await run('status -e dev', { AWS_ENDPOINT_URL: 'http://127.0.0.1:9' });
  expect(lost).toMatchObject({ code: 3, stderr: expect.stringContaining('AWS does not answer') });
});

it('an interrupted push removes its uploaded parts before it exits', { timeout: PATIENCE }, async () => {
  await writeFile(join(cwd, 'big.jar'), '');
  await truncate(join(cwd, 'big.jar'), 200_000_000);
  await appendFile(join(cwd, 'big.jar'), ZIP);
  const pushing = start('push payments 2.0.0 big.jar -e dev');
  await cloud.until((request) => request.operation === 'UploadPart' && request.status === 200);
  pushing.process.kill('SIGINT');
  expect(await pushing.finished).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('trigger-deploy: interrupted: no version was pushed'),
  });
  const operations = cloud.requests.map((request) => request.operation);
  expect(operations.filter((one) => one === 'AbortMultipartUpload')).toHaveLength(1);
  expect(operations).not.toContain('CompleteMultipartUpload');
  expect(cloud.objects('deploys-dev', 'artifacts/payments/2.0.0/')).toEqual([]);
});

it('a closed stdout changes neither the work nor the exit code', { timeout: PATIENCE }, async () => {
  await writeFile(join(cwd, 'wide.jar'), jarOf(randomBytes(30_000_000)));
  const pushing = start('push payments 3.0.0 wide.jar -e dev');
  pushing.process.stdout?.destroy();
  expect(await pushing.finished).toMatchObject({ code: 0 });
  expect(cloud.objects('deploys-dev', 'artifacts/payments/3.0.0/')).toHaveLength(2);
});

it('a command whose answer cannot be written does not exit with 0, and shows no stack', {
  timeout: PATIENCE,
}, async () => {
  const full = { stdout: '/dev/full' };
  const lines = ['--version', 'completion bash', 'versions payments -e dev --output json'];
  const ended = await Promise.all(lines.map((line) => start(line, {}, full).finished));
  for (const { code, stderr } of ended) {
    expect(code).toBe(1);
    expect(stderr).toBe(
      'trigger-deploy: the output could not be written: ENOSPC: no space left on device, write\n',
    );
  }
  const closed = await run('completion bash', { TRIGGER_DEPLOY_CLOSED: '1' });
  expect(closed).toMatchObject({ code: 1, stderr: expect.stringContaining('it is closed') });
  proved('output', 'an answer that cannot be written: no exit code 0');
});

it('output that cannot be written changes neither a deployment nor its exit code, and the lock is released', {
  timeout: PATIENCE,
}, async () => {
  const full = { stdout: '/dev/full', stderr: '/dev/full' };
  expect(await start('payments 1.0.0 -e dev --no-wait', {}, full).finished).toMatchObject({ code: 0 });
  const lock = cloud.object('deploys-dev', 'state/dev/payments/lock.json');
  expect(JSON.parse(lock?.body.toString() ?? '')).toMatchObject({ owner: null });
  proved('output', 'a deployment whose output cannot be written ends as others');
});

it.each(['SIGTERM', 'SIGHUP'] as const)(
  '%s leaves a deployment running, prints how to follow it, releases the lock, and ends the program',
  {
    timeout: PATIENCE,
  },
  async (signal) => {
    const deploying = start('payments 1.0.0 -e dev');
    await deploying.line((line) => line.includes(' started deploy '));
    deploying.process.kill(signal);
    // A shell and the kernel may both send it.
    if (signal === 'SIGHUP') deploying.process.kill(signal);
    const { stdout, code } = await deploying.finished;
    expect(code).toBe(3);
    const lock = cloud.object('deploys-dev', 'state/dev/payments/lock.json');
    expect(JSON.parse(lock?.body.toString() ?? '')).toMatchObject({ owner: null });
    expect(stdout).toMatch(/trigger-deploy watch [0-9A-Z]{26} --env dev/);
  },
);
