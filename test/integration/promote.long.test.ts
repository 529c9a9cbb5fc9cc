import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { keys } from '../../shared/names.ts';
import type { RequestRecord } from '../support/cloud/requests.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';

/** From a build to the next environment, with agents of both; each test depends on those before it. */

const STG_BUCKET = 'acme-deploys-stg';
const STG_KEYS = 'state/stg/payments/deployments/';

let fleet: Fleet;
let inDev: Instance;
let inStg: Instance;

beforeAll(async () => {
  fleet = await startFleet();
  const { cloud, dir, publisherDir } = fleet;
  cloud.createBucket(STG_BUCKET);
  const topic = cloud.createTopic('trigger-deploy-stg');
  const made = await fleet.publisher('keygen', '--out', join(dir, 'keys'), '--name', 'stg');
  expect(made, made.stderr).toMatchObject({ code: 0 });
  const file = join(publisherDir, 'trigger-deploy.yaml');
  const config = parse(await readFile(file, 'utf8')) as { environments: Record<string, object> };
  const stg = {
    ...config.environments.dev,
    topic,
    bucket: STG_BUCKET,
    signingKey: join(dir, 'keys/stg.key.json'),
  };
  config.environments.stg = { ...stg, requires: 'dev', services: { payments: { canary: 1 } } };
  config.environments.prd = { region: 'eu-west-1' };
  await writeFile(file, stringify(config));
  const settings = {
    env: 'stg',
    topic,
    bucket: STG_BUCKET,
    trust: { keys: [join(dir, 'keys/stg.pub.json')] },
  };
  [inDev, inStg] = await Promise.all([
    fleet.addInstance('i-0dev'),
    fleet.addInstance('i-0stg', undefined, settings),
  ]);
});
afterAll(() => fleet?.stop());

const version = async (instance: Instance) => (await fleet.ask(instance))?.version;
const deploymentsInStg = () => fleet.cloud.objects(STG_BUCKET, STG_KEYS);

test('push --deploy brings a build to its environment in one step', async () => {
  const file = await fleet.pack('1.0.0');
  const result = await fleet.publisher(
    'push',
    'payments',
    '1.0.0',
    file,
    '--deploy',
    'dev',
    '--reason',
    'build 1',
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toContain('payments 1.0.0 is pushed to dev');
  expect(await version(inDev)).toBe('1.0.0');
});

test('what failed in one environment does not get into the next', async () => {
  const file = await fleet.pack('1.1.0', { exitAtStart: true });
  expect(await fleet.publisher('push', 'payments', '1.1.0', file, '--deploy', 'dev')).toMatchObject({
    code: 1,
  });
  const words = ['promote', 'payments', '--from', 'dev', '--to', 'stg', '--version', '1.1.0'];
  const refused = await fleet.publisher(...words);
  expect(refused).toMatchObject({ code: 4 });
  expect(refused.stderr).toContain('no deployment of payments 1.1.0 to all of dev has succeeded');
  expect(await fleet.publisher('push', 'payments', '1.1.0', file, '--env', 'stg')).toMatchObject({ code: 0 });
  const around = await fleet.publisher('payments', '1.1.0', '--env', 'stg');
  expect(around).toMatchObject({ code: 4 });
  expect(around.stderr).toContain('stg requires that payments 1.1.0 has succeeded in dev');
  expect(deploymentsInStg()).toEqual([]);
});

test('a promotion whose publisher is killed between package and manifest leaves no version', async () => {
  const isManifest = ({ operation, bucket, key }: RequestRecord) =>
    operation === 'PutObject' && bucket === STG_BUCKET && key === keys.manifest('payments', '1.0.0');
  fleet.cloud.fail('unavailable', isManifest, 3);
  const promoting = fleet.startPublisher('promote', 'payments', '--from', 'dev', '--to', 'stg');
  await fleet.cloud.until((request) => isManifest(request) && request.status === 503);
  promoting.process.kill('SIGKILL');
  await promoting.finished;
  expect(fleet.cloud.objects(STG_BUCKET, 'artifacts/payments/1.0.0/')).toEqual([
    expect.stringMatching(/\.tar\.gz$/),
  ]);
  expect(deploymentsInStg()).toEqual([]);
});

test('the same promotion again goes on, and the agents of the next environment run the version', async () => {
  await mkdir(join(fleet.publisherDir, 'config'));
  await writeFile(join(fleet.publisherDir, 'config/application-stg.yaml'), 'stage: stg\n');
  const result = await fleet.publisher(
    ...['promote', 'payments', '--from', 'dev', '--to', 'stg', '--reason', 'ticket 4711'],
    ...['--config', 'config/application-stg.yaml'],
  );
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toContain('copied payments 1.0.0 from dev to stg');
  expect(result.stdout).toContain('wave 1 of 1');
  expect(await version(inStg)).toBe('1.0.0');
  expect(await readdir(join(inStg.dir, 'payments/current'))).toContain('application-stg.yaml');
  const history = await fleet.publisher('history', 'payments', '--env', 'stg');
  expect(history.stdout).toMatch(/deploy 1\.0\.0 from dev, 1 wave succeeded .*\(ticket 4711\)/);
});

test('status --all shows both side by side, and names the environment that it cannot look at', async () => {
  const { stdout, code, stderr } = await fleet.publisher('status', '--all', '--output', 'table');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout.split('\n').slice(0, 2)).toEqual([
    '          dev           stg',
    'payments  1.0.0 1 of 1  1.0.0 1 of 1',
  ]);
  expect(stdout).toMatch(/^prd cannot be reached: .* 2 mistakes$/m);
});
