import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type FakeCloudWatch, startFakeCloudWatch } from '../support/cloud/fake-cloudwatch.ts';
import { push } from '../support/commands.ts';
import { type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';
import { type Program, PUBLISHER } from '../support/programs.ts';

/** Publishers that are killed while checks are made, and others that continue elsewhere. Each test depends on those before it. */

/** Runs for as long as the file `hang` is there. */
const SMOKE = `
import { appendFileSync, existsSync } from 'node:fs';
appendFileSync(process.env.RUNS, process.env.TRIGGER_DEPLOY_PHASE + ' ' + process.pid + '\\n');
console.log('smoke runs');
if (existsSync('hang')) setInterval(() => {}, 1000);
`;

let fleet: Fleet;
let cloudwatch: FakeCloudWatch;
let instances: Instance[];
let elsewhere: string;
let runsFile: string;

beforeAll(async () => {
  [fleet, cloudwatch] = await Promise.all([startFleet(), startFakeCloudWatch()]);
  runsFile = join(fleet.dir, 'runs');
  Object.assign(fleet.env, cloudwatch.env, { RUNS: runsFile });
  const own = (name: string) => join(fleet.publisherDir, name);
  const config = parse(await readFile(own('trigger-deploy.yaml'), 'utf8'));
  config.environments.dev.services = {
    payments: {
      ...{ strategy: 'rolling', canary: 1, batch: 1, alarms: ['5xx'], watchAlarms: '12s' },
      verify: { run: [process.execPath, './smoke.mjs'], timeout: '60s' },
    },
  };
  await writeFile(own('trigger-deploy.yaml'), stringify(config));
  await writeFile(own('smoke.mjs'), SMOKE);
  elsewhere = join(fleet.dir, 'elsewhere');
  await cp(fleet.publisherDir, elsewhere, { recursive: true });
  cloudwatch.set('5xx', 'OK');
  const quick = (instance: Instance) => ({ payments: sampleService(instance, { watch: '0s' }) });
  instances = await Promise.all(['i-0a1', 'i-0b2'].map((id) => fleet.addInstance(id, quick)));
  await Promise.all(['1.0.0', '1.1.0', '1.2.0'].map((version) => push(fleet, version)));
  const first = await deploy('1.0.0', '--skip-checks', '--reason', 'first').finished;
  expect(first, first.stdout + first.stderr).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await Promise.all([fleet?.stop(), cloudwatch?.stop()]);
});

const deploy = (version: string, ...args: string[]) =>
  fleet.startPublisher('payments', version, '-e', 'dev', ...args);
const resume = (id: string) =>
  fleet.start([PUBLISHER, 'resume', id, '-e', 'dev'], { env: { ...fleet.env }, cwd: elsewhere });
const versions = () => Promise.all(instances.map(async (one) => (await fleet.ask(one))?.version));
const runs = async () => (await readFile(runsFile, 'utf8').catch(() => '')).split('\n').filter(Boolean);
const idOf = ({ stdout }: Program) => /started deploy \S+ → \S+ in dev (\w+)/.exec(stdout())?.[1] ?? '';
async function kill(program: Program): Promise<void> {
  program.process.kill('SIGKILL');
  await program.finished;
}

test('killed while verify runs: another machine runs it again, and completes the rollout', async () => {
  await writeFile(join(fleet.publisherDir, 'hang'), '');
  const killed = deploy('1.1.0');
  await killed.line((line) => line.includes('verify after the canary runs'));
  await expect.poll(async () => (await runs()).length).toBe(1);
  await kill(killed);
  await rm(join(fleet.publisherDir, 'hang'));
  process.kill(Number((await runs())[0]?.split(' ')[1]), 'SIGKILL');
  const { code, stdout, stderr } = await resume(idOf(killed)).finished;
  expect(code, stdout + stderr).toBe(0);
  expect((await runs()).map((run) => run.split(' ')[0])).toEqual(['canary', 'canary', 'last']);
  expect(stdout).toContain('all waves have passed; watching the alarms for 12 s: 5xx');
  expect(await versions()).toEqual(['1.1.0', '1.1.0']);
});

test('killed while the alarms are watched: another machine sees the alarm, and takes back', async () => {
  const killed = deploy('1.2.0');
  await killed.line((line) => line.includes('watching the alarms'));
  await kill(killed);
  const status = (await fleet.publisher('status', 'payments', '-e', 'dev')).stdout;
  expect(status).toContain('1.1.0');
  cloudwatch.set('5xx', 'ALARM', { reason: '9 > 5' });
  const { code, stdout } = await resume(idOf(killed)).finished;
  expect(code, stdout).toBe(1);
  expect(stdout).toContain('the alarm 5xx is in ALARM (9 > 5)');
  expect(await versions()).toEqual(['1.1.0', '1.1.0']);
  const shown = await fleet.publisher('show', idOf(killed), '-e', 'dev');
  expect(shown.stdout).toContain('alarms 5xx ALARM (9 > 5) at ');
});

test('an outage of CloudWatch during the watch is retried, and the deployment succeeds after it', async () => {
  cloudwatch.set('5xx', 'OK');
  const deploying = deploy('1.2.0');
  await deploying.line((line) => line.includes('watching the alarms'));
  cloudwatch.fail({ status: 503, code: 'ServiceUnavailable' });
  await deploying.line((line) => line.includes('cannot read the CloudWatch alarms'));
  cloudwatch.fail({ status: 503, code: 'ServiceUnavailable' }, 0);
  const { code, stdout } = await deploying.finished;
  expect(code, stdout).toBe(0);
  expect(stdout).toContain('retrying for up to 10 min');
  expect(await versions()).toEqual(['1.2.0', '1.2.0']);
});
