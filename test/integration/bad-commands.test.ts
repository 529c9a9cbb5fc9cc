import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { deploy, push } from '../support/commands.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { snapshotOf } from '../support/fleet/snapshot.ts';
import { PUBLISHER } from '../support/programs.ts';
import { eventsOf, withoutWaits } from '../support/publisher/events.ts';

/** What a person can get wrong on the command line and around it: one clear line each, and nothing is done. */

let fleet: Fleet;
let instance: Instance;
let archive: string;

beforeAll(async () => {
  fleet = await startFleet();
  instance = await fleet.addInstance('i-0a1');
  await push(fleet, '1.0.0');
  await push(fleet, '1.1.0');
  await deploy(fleet, '1.0.0');
  archive = await fleet.pack('1.2.0');
});
afterAll(() => fleet?.stop());

/** trigger-deploy.yaml with one thing changed, in a file of its own. */
async function configWith(name: string, change: object): Promise<string> {
  const config = parse(await readFile(join(fleet.publisherDir, 'trigger-deploy.yaml'), 'utf8'));
  Object.assign(config.environments.dev, change);
  const file = join(fleet.publisherDir, `${name}.yaml`);
  await writeFile(file, stringify(config));
  return file;
}

const WRITES = ['PutObject', 'CreateMultipartUpload', 'DeleteObject', 'CreateQueue', 'Publish'];

/** Runs the command; it must write nothing anywhere, and change nothing on the instance. */
async function withoutEffect(args: string[], env: Record<string, string> = fleet.env) {
  const before = await snapshotOf(fleet, instance);
  const seen = fleet.cloud.requests.length;
  const ended = await fleet.start([PUBLISHER, ...args], { env, cwd: fleet.publisherDir }).finished;
  const result = withoutWaits(ended);
  const asked = fleet.cloud.requests.slice(seen).filter(({ accessKeyId }) => accessKeyId === 'publisher');
  const done = asked.filter(({ operation, status = 0 }) => WRITES.includes(operation) && status < 300);
  expect(done).toEqual([]);
  expect(await snapshotOf(fleet, instance)).toEqual(before);
  return result;
}

/** Its whole stderr: what happened and why, and below it what to do. */
const twoLines = (what: string, hint: string) => `trigger-deploy: ${what}\n  → ${hint}\n`;

const ENV = ['--env', 'dev'];
const VERSION_FORM = 'a version is letters, digits and . _ + ~ -, and begins with a letter or digit';
/** The hint names the line of the config: `key` is at `line` of `file`. */
const absentHint = (key: 'bucket' | 'topic', file: string, line: number) =>
  `check that \`${key}\` (${file}:${line}) exists in the AWS account and region in use`;

describe('one line says what is wrong, the next what to do, and nothing is done:', () => {
  test.each<[string, string[], number, string, string]>([
    [
      'a service that nothing was pushed for',
      ['orders', '1.0.0', ...ENV],
      4,
      'no version of the service orders was ever pushed',
      'check the name, or push a version: trigger-deploy push orders 1.0.0 FILE',
    ],
    [
      'a version that was not pushed; the newest there are are named',
      ['payments', '9.9.9', ...ENV],
      4,
      'there is no version 9.9.9 of payments',
      'the newest are 1.1.0, 1.0.0; trigger-deploy push creates a version',
    ],
    [
      'no environment',
      ['payments', '1.1.0'],
      2,
      '--env is required',
      'add --env NAME or set TRIGGER_DEPLOY_ENV; the environments are dev',
    ],
    [
      'a service named like a verb of today',
      ['push', 'rollback', '1.0.0', 'payments.tar.gz'],
      2,
      '"rollback" cannot be a service: that word is a command of trigger-deploy and cannot name a service',
      'usage: trigger-deploy push <service> <version> <file..>; trigger-deploy push --help shows examples',
    ],
    [
      'a service named like the verb gc, with a version',
      ['gc', 'payments', '1.0.0', ...ENV],
      2,
      'too many arguments: 1.0.0',
      'usage: trigger-deploy gc [service]; trigger-deploy gc --help shows examples',
    ],
    [
      'a version that is a path, deployed',
      ['payments', '../../etc', ...ENV],
      2,
      `"../../etc" cannot be a version: ${VERSION_FORM}`,
      'usage: trigger-deploy <service> <version>; trigger-deploy --help shows examples',
    ],
    [
      'a version that is a path, pushed',
      ['push', 'payments', '../../etc', 'payments.tar.gz'],
      2,
      `"../../etc" cannot be a version: ${VERSION_FORM}`,
      'usage: trigger-deploy push <service> <version> <file..>; trigger-deploy push --help shows examples',
    ],
    [
      'a version that is a path, rolled back to',
      ['rollback', 'payments', '--to', '../../etc', ...ENV],
      2,
      `"../../etc" cannot be a version: ${VERSION_FORM}`,
      'usage: trigger-deploy rollback <service>; trigger-deploy rollback --help shows examples',
    ],
    [
      'a service that is a path',
      ['../../etc', '1.0.0', ...ENV],
      2,
      '"../../etc" cannot be a service: a service name has a-z, 0-9, - and _, begins with a letter, and has 63 characters at most',
      'usage: trigger-deploy <service> <version>; trigger-deploy --help shows examples',
    ],
    [
      'a file that is not there',
      ['push', 'payments', '1.2.0', '/nowhere/payments.tar.gz'],
      2,
      'cannot push /nowhere/payments.tar.gz: there is no such file',
      'check the path',
    ],
    [
      'a deployment that never was',
      ['watch', '01JDB2Q4M7ZC5W0V9K3T8X6Y1N', ...ENV],
      4,
      'there is no deployment 01JDB2Q4M7ZC5W0V9K3T8X6Y1N in dev',
      'trigger-deploy history SERVICE lists deployments; --env selects the environment',
    ],
  ])('%s', async (_title, args, code, what, hint) => {
    const result = await withoutEffect(args);
    expect(result).toEqual({ code, stdout: '', stderr: twoLines(what, hint) });
  });

  test('an environment that the config does not have', async () => {
    const result = await withoutEffect(['payments', '1.1.0', '--env', 'prd']);
    const file = join(fleet.publisherDir, 'trigger-deploy.yaml');
    const stderr = twoLines(`there is no environment prd in ${file}`, 'the environments are dev');
    expect(result).toEqual({ code: 2, stdout: '', stderr });
  });

  test('other bytes for a version that exists', async () => {
    const result = await withoutEffect(['push', 'payments', '1.0.0', archive]);
    expect(result).toMatchObject({ code: 4, stdout: '' });
    expect(result.stderr).toMatch(
      /^trigger-deploy: payments 1\.0\.0 exists with different files: \S+@\S+ pushed it at \S+\n {2}→ .*\n$/,
    );
  });

  test('a bucket that is not there, when it is deployed from', async () => {
    const file = await configWith('bucket', { bucket: 'acme-nowhere' });
    const result = await withoutEffect(['payments', '1.1.0', ...ENV, '--config-file', file]);
    const key = 's3://acme-nowhere/artifacts/payments/1.1.0/manifest.jws';
    const stderr = twoLines(`cannot read ${key}: there is no such bucket`, absentHint('bucket', file, 6));
    expect(result).toEqual({ code: 2, stdout: '', stderr });
  });

  test('a bucket that is not there, when it is pushed to', async () => {
    const file = await configWith('bucket', { bucket: 'acme-nowhere' });
    const result = await withoutEffect(['push', 'payments', '1.2.0', archive, '--config-file', file]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(
      /^trigger-deploy: cannot upload \S+ to s3:\/\/acme-nowhere\/\S+: there is no such bucket\n/,
    );
    expect(result.stderr.split('\n').slice(1)).toEqual([`  → ${absentHint('bucket', file, 6)}`, '']);
  });

  test('the public key where the private one belongs', async () => {
    const signingKey = join(fleet.dir, 'keys', 'ci.pub.json');
    const file = await configWith('key', { signingKey });
    const result = await withoutEffect(['payments', '1.1.0', ...ENV, '--config-file', file]);
    const what = `${signingKey} is a public key; signing needs the private key`;
    const hint = 'name the .key.json file that trigger-deploy keygen wrote, not the .pub.json';
    expect(result).toEqual({ code: 2, stdout: '', stderr: twoLines(what, hint) });
  });

  const reading = 'cannot read s3://acme-deploys-dev/artifacts/payments/1.1.0/manifest.jws';
  const deploying = ['payments', '1.1.0', ...ENV];

  test('no credentials', async () => {
    const result = await withoutEffect(deploying, { ...fleet.env, AWS_ACCESS_KEY_ID: '' });
    const hint = 'set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the instance a role';
    const stderr = twoLines(
      `${reading}: no AWS credentials found (Could not load credentials from any providers)`,
      hint,
    );
    expect(result).toEqual({ code: 4, stdout: '', stderr });
  });

  test('credentials that have expired', async () => {
    fleet.cloud.expireCredentials('publisher');
    const result = await withoutEffect(deploying);
    fleet.cloud.renewCredentials('publisher');
    const what = `${reading}: AWS refuses (ExpiredToken: The provided token has expired.)`;
    const hint =
      'the credentials have expired: sign in again (aws sso login), or get new ones; the role of an instance renews its own';
    expect(result).toEqual({ code: 4, stdout: '', stderr: twoLines(what, hint) });
  });

  test('an endpoint where no server answers', async () => {
    const result = await withoutEffect(deploying, { ...fleet.env, AWS_ENDPOINT_URL: 'http://127.0.0.1:1' });
    const hint = 'check the network, the region, and AWS_ENDPOINT_URL if it is set';
    const stderr = twoLines(`${reading}: AWS does not answer (ECONNREFUSED)`, hint);
    expect(result).toEqual({ code: 3, stdout: '', stderr });
  });
});

test('`--verbose` adds the code, the exit code, and where the error came from', async () => {
  const result = await withoutEffect(['payments', '1.1.0', ...ENV, '--verbose'], {
    ...fleet.env,
    AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
  });
  const [what, hint, code, ...rest] = result.stderr.split('\n');
  expect(what).toMatch(/AWS does not answer \(ECONNREFUSED\)$/);
  expect(hint).toMatch(/^ {2}→ check the network/);
  expect(code).toBe('  code AWS_UNREACHABLE, exit 3');
  expect(rest.join('\n')).toMatch(/^ {2}caused by .*ECONNREFUSED.*\n {6}at /);
});

test('`--output json` ends with the same as one object', async () => {
  const result = await withoutEffect(['payments', '9.9.9', ...ENV, '--output', 'json']);
  expect(eventsOf(result).at(-1)).toMatchObject({ type: 'error', code: 'VERSION_NOT_FOUND', exitCode: 4 });
});

test('a topic that is not there ends with a line, and the record says that nothing was announced', async () => {
  const topic = 'arn:aws:sns:eu-west-1:999999999999:trigger-deploy-dev';
  const before = await snapshotOf(fleet, instance);
  const file = await configWith('topic', { topic });
  // To a publisher's role AWS denies what it does not name, and does not say whether it is there.
  const env = { ...fleet.env, ...fleet.cloud.env('operator') };
  const words = ['payments', '1.1.0', ...ENV, '--config-file', file];
  const result = await fleet.start([PUBLISHER, ...words], { env, cwd: fleet.publisherDir }).finished;
  const hint = absentHint('topic', file, 5);
  expect(result).toMatchObject({
    code: 2,
    stderr: twoLines(`cannot publish to ${topic}: Topic does not exist`, hint),
  });
  expect(await snapshotOf(fleet, instance)).toEqual(before);
  const history = await fleet.publisher('history', 'payments', ...ENV, '--output', 'json', '--limit', '1');
  expect(JSON.parse(history.stdout)).toMatchObject({
    status: 'failed',
    outcome: expect.stringMatching(/^not announced: /),
  });
});

test('after all of it the next deployment is as good as ever', async () => {
  await deploy(fleet, '1.1.0');
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.1.0' });
});
