import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type FakeCloudWatch, startFakeCloudWatch } from '../support/cloud/fake-cloudwatch.ts';
import { push } from '../support/commands.ts';
import { type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';

/** Alarms and the command `verify` of the real programs. Each test depends on those before it. */

/** Writes what it is told, and ends as the file `code` says. */
const SMOKE = `
import { readFileSync, writeFileSync } from 'node:fs';
const own = Object.entries(process.env).filter(([name]) => name.startsWith('TRIGGER_DEPLOY_'));
writeFileSync('told.' + process.env.TRIGGER_DEPLOY_PHASE, JSON.stringify(Object.fromEntries(own)));
console.log('looked at the shop');
process.exit(Number(readFileSync('code', 'utf8')));
`;
const ALARM = 'payments-5xx';

let fleet: Fleet;
let cloudwatch: FakeCloudWatch;
let instances: Instance[];

beforeAll(async () => {
  [fleet, cloudwatch] = await Promise.all([startFleet(), startFakeCloudWatch()]);
  Object.assign(fleet.env, cloudwatch.env);
  const own = (name: string) => join(fleet.publisherDir, name);
  const config = parse(await readFile(own('trigger-deploy.yaml'), 'utf8'));
  config.environments.dev.services = {
    payments: {
      ...{ strategy: 'rolling', canary: 1, batch: 1, alarms: [ALARM], watchAlarms: '0s' },
      verify: { run: [process.execPath, 'smoke.mjs'], timeout: '20s' },
    },
  };
  await Promise.all([
    writeFile(own('trigger-deploy.yaml'), stringify(config)),
    writeFile(own('smoke.mjs'), SMOKE),
    writeFile(own('code'), '0'),
  ]);
  const quick = (instance: Instance) => ({ payments: sampleService(instance, { watch: '0s' }) });
  instances = await Promise.all(['i-0a1', 'i-0b2'].map((id) => fleet.addInstance(id, quick)));
  await Promise.all([push(fleet, '1.0.0'), push(fleet, '1.1.0')]);
});
afterAll(async () => {
  await Promise.all([fleet?.stop(), cloudwatch?.stop()]);
});

const versions = () => Promise.all(instances.map(async (one) => (await fleet.ask(one))?.version));
const told = async (phase: string) =>
  JSON.parse(await readFile(join(fleet.publisherDir, `told.${phase}`), 'utf8'));
const history = async () => (await fleet.publisher('history', 'payments', '-e', 'dev')).stdout.split('\n');

test('an alarm in ALARM refuses a deployment before it begins; --skip-checks deploys, and is marked', async () => {
  cloudwatch.set(ALARM, 'ALARM', { reason: 'errors' });
  const refused = await fleet.publisher('payments', '1.0.0', '-e', 'dev');
  expect(refused).toMatchObject({ code: 4, stdout: '' });
  expect(refused.stderr).toContain(`payments is not deployed: the alarm ${ALARM} is in ALARM (errors)`);
  const skipping = ['--strategy', 'all', '--skip-checks', '--reason', 'the shop is down'];
  const skipped = await fleet.publisher('payments', '1.0.0', '-e', 'dev', ...skipping);
  expect(skipped, skipped.stdout + skipped.stderr).toMatchObject({ code: 0 });
  expect(skipped.stdout).toContain(`the automatic checks are skipped: the alarm ${ALARM}, verify`);
  expect((await history())[0]).toContain('CHECKS SKIPPED');
});

test('an alarm that goes off during the canary stops the rollout and takes it back', async () => {
  cloudwatch.set(ALARM, 'OK');
  const deploying = fleet.startPublisher('payments', '1.1.0', '-e', 'dev');
  await deploying.line((line) => line.includes('wave 1 of 2'));
  cloudwatch.set(ALARM, 'ALARM', { reason: '9 > 5' });
  const { code, stdout } = await deploying.finished;
  expect(code, stdout).toBe(1);
  expect(stdout).not.toContain('wave 2 of 2');
  expect(await versions()).toEqual(['1.0.0', '1.0.0']);
  expect((await history()).join('\n')).toContain(`the alarm ${ALARM} is in ALARM (9 > 5)`);
});

test('a verify that fails after the canary takes it back, and its output is shown', async () => {
  cloudwatch.set(ALARM, 'OK');
  await writeFile(join(fleet.publisherDir, 'code'), '3');
  const { code, stdout } = await fleet.publisher('payments', '1.1.0', '-e', 'dev');
  expect(code, stdout).toBe(1);
  expect(stdout).toContain('verify after the canary failed: exit code 3\n  | looked at the shop\n');
  expect(stdout).not.toContain('wave 2 of 2');
  expect(await versions()).toEqual(['1.0.0', '1.0.0']);
});

test('with all checks good, the rollout goes through, and verify was told what it is about', async () => {
  await writeFile(join(fleet.publisherDir, 'code'), '0');
  const { code, stdout } = await fleet.publisher('payments', '1.1.0', '-e', 'dev');
  expect(code, stdout).toBe(0);
  expect(stdout).toContain('2 of 2 succeeded; the alarm is OK, verify passed; the desired state is 1.1.0');
  expect(await versions()).toEqual(['1.1.0', '1.1.0']);
  const [, id] = /started deploy 1\.0\.0 → 1\.1\.0 in dev (\w+)/.exec(stdout) ?? [];
  const about = {
    TRIGGER_DEPLOY_DEPLOYMENT: id,
    TRIGGER_DEPLOY_ENV: 'dev',
    TRIGGER_DEPLOY_SERVICE: 'payments',
  };
  expect(await told('canary')).toMatchObject({
    ...about,
    ...{ TRIGGER_DEPLOY_VERSION: '1.1.0', TRIGGER_DEPLOY_PREVIOUS: '1.0.0', TRIGGER_DEPLOY_WAVE: '1' },
    ...{ TRIGGER_DEPLOY_WAVES: '2', TRIGGER_DEPLOY_INSTANCE_COUNT: '1' },
  });
  expect((await told('last')).TRIGGER_DEPLOY_INSTANCES.split(' ').sort()).toEqual(['i-0a1', 'i-0b2']);
});
