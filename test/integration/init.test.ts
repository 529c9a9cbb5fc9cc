import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create } from 'tar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { type Cloud, startCloud } from '../support/cloud/cloud.ts';
import { PUBLISHER, startProgram } from '../support/programs.ts';
import { isWrite } from '../support/publisher/setup-stage.ts';

/** `trigger-deploy init` as a program: from nothing to an environment that `push` and the other commands can use. */

let cloud: Cloud;
let home: string;
const CONFIG = '.config/trigger-deploy/trigger-deploy.yaml';
const PLACE = ['--env', 'dev', '--region', 'eu-west-1', '--bucket', 'acme-deploys-dev'];

beforeAll(async () => {
  cloud = await startCloud();
  home = await mkdtemp(join(tmpdir(), 'init-'));
});
afterAll(async () => {
  await cloud?.stop();
  await rm(home, { recursive: true, force: true });
});

const start = (...args: string[]) =>
  startProgram([PUBLISHER, ...args], {
    cwd: home,
    env: { ...cloud.env('operator'), TRIGGER_DEPLOY_PATH_STYLE: 'true' },
  });
const writes = () => cloud.requests.filter(isWrite).map(({ operation }) => operation);

test('where nobody can be asked it says what it would do, changes nothing, and ends with 2', async () => {
  const { code, stdout, stderr } = await start('init', ...PLACE).finished;
  expect({ code, writes: writes() }).toEqual({ code: 2, writes: [] });
  expect(stdout.split('\n').map((line) => line.split(':')[0])).toEqual([
    'missing  topic trigger-deploy-dev',
    'missing  bucket acme-deploys-dev',
    '',
  ]);
  expect(stderr).toBe(
    'trigger-deploy: 2 things must be created or changed in the account 000000000000, eu-west-1, and nobody can be asked here\n  → add --yes to do it, or --dry-run to see it only\n',
  );
});

test('without a bucket it says which option is missing', async () => {
  const { code, stderr } = await start('init', '--env', 'dev').finished;
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr:
      'trigger-deploy: there is no trigger-deploy.yaml: --bucket must say where it will be\n  → trigger-deploy init --env dev --region eu-west-1 --bucket NAME\n',
  });
});

test('killed on the way, the next run completes it: topic, bucket, keys and config', async () => {
  const all = ['init', ...PLACE, '--yes', '--keys', 'keys', '--write-config'];
  const killed = start(...all);
  await cloud.until(({ operation, status }) => operation === 'CreateBucket' && status === 200);
  killed.process.kill('SIGKILL');
  await killed.finished;

  const { code, stdout } = await start(...all).finished;
  expect(code).toBe(0);
  expect(stdout).toContain(`created  signing key ${join(home, 'keys/dev.key.json')}: kid `);
  expect(parse(await readFile(join(home, CONFIG), 'utf8'))).toEqual({
    home: 'dev',
    environments: {
      dev: {
        region: 'eu-west-1',
        topic: 'arn:aws:sns:eu-west-1:000000000000:trigger-deploy-dev',
        bucket: 'acme-deploys-dev',
        pathStyle: true,
        signingKey: join(home, 'keys/dev.key.json'),
      },
    },
  });
});

test('the second time everything is right: no write, and one JSON line for each thing', async () => {
  const before = writes().length;
  const { code, stdout } = await start('init', '--env', 'dev', '--keys', 'keys', '--output', 'json').finished;
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect({ code, writes: writes().length - before }).toEqual({ code: 0, writes: 0 });
  expect(new Set(lines.slice(0, -1).map(({ state }) => state))).toEqual(new Set(['ok']));
  expect(lines.at(-1)).toMatchObject({ type: 'setup', env: 'dev', counts: { ok: 9 } });
});

test('a push finds what init made', async () => {
  const file = join(home, 'payments.tar.gz');
  await writeFile(join(home, 'run.sh'), 'exit 0\n');
  await create({ gzip: true, file, cwd: home }, ['run.sh']);
  const { code, stderr } = await start('push', 'payments', '1.0.0', file).finished;
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(cloud.objects('acme-deploys-dev', 'artifacts/payments/1.0.0/manifest.jws')).toHaveLength(1);
});

test('an environment of the config cannot be contradicted on the command line', async () => {
  const { code, stderr } = await start('init', '--env', 'dev', '--bucket', 'other').finished;
  expect(code).toBe(2);
  expect(stderr).toContain('--bucket other differs from the config: dev has acme-deploys-dev');
});
