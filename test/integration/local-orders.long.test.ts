import { copyFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../support/cloud/fault-proxy.ts';
import { deploy, push } from '../support/commands.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { AGENT, type Program } from '../support/programs.ts';

/** AWS refuses everything; the instance is deployed to by hand, and AWS hears of it when it is back. */

let fleet: Fleet;
let proxy: FaultProxy;
let instance: Instance;

beforeAll(async () => {
  fleet = await startFleet({ agentEnv: () => ({ AWS_ENDPOINT_URL: proxy.endpoint }) });
  proxy = await startFaultProxy(fleet.cloud.endpoint);
  instance = await fleet.addInstance('i-0a1');
  for (const version of ['1.0.0', '1.1.0']) await deployed(version);
  await proxy.refuse();
});
afterAll(async () => {
  await proxy?.accept().catch(() => {});
  await fleet?.stop();
  await proxy?.stop();
});

async function deployed(version: string) {
  await push(fleet, version);
  await deploy(fleet, version);
}

const command = (...args: string[]) => fleet.runAgentCommand(instance, ...args);
const running = async () => (await fleet.ask(instance))?.version;
const spooled = () => readdir(join(instance.dir, 'state', 'local'));

async function localStatus() {
  const { stdout } = await command('status', '--json');
  const found = JSON.parse(stdout);
  return { ...found, payments: found.services[0] };
}

/** `trigger-deploy-agent …`, to be watched. */
function started(...args: string[]): Program {
  return fleet.start([AGENT, ...args, '--config', instance.configFile], {
    env: { ...fleet.cloud.env(), AWS_ENDPOINT_URL: proxy.endpoint },
    cwd: instance.dir,
  });
}

test('the status shows all of the instance, and that the queue cannot be reached', async () => {
  const table = await command('status');
  expect(table, table.stderr).toMatchObject({ code: 0 });
  expect(table.stdout).toMatch(/i-0a1 in dev · agent \S+ running since/);
  expect(table.stdout).toMatch(/queue trigger-deploy-dev-i-0a1 is NOT reachable/);
  expect(table.stdout).toMatch(/^payments +1\.1\.0 +active +1 ok +1\.0\.0$/m);
  const offline = await command('status', '--offline');
  expect(offline.stdout).toMatch(/queue trigger-deploy-dev-i-0a1 \(not checked\)/);
});

test('a rollback goes to what ran before, a line for each state, and pins it', async () => {
  const result = await command('rollback', 'payments');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toMatch(/payments 1\.1\.0 → 1\.0\.0: local rollback/);
  expect(result.stdout).toMatch(/ payments (switching|starting|checking|watching)\n/);
  expect(result.stdout).toMatch(/ payments succeeded 1\.0\.0 in /);
  expect(result.stdout).toMatch(/PINNED to 1\.0\.0/);
  expect(await running()).toBe('1.0.0');
  expect((await localStatus()).payments).toMatchObject({ pinned: true, version: '1.0.0', previous: '1.1.0' });
});

test('a second rollback does not return to the version that was rolled back, unless it is named', async () => {
  const refused = await command('rollback', 'payments');
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.stderr).toMatch(/already rolled back here, from 1\.1\.0 to 1\.0\.0/);
  const named = await command('rollback', 'payments', '--version', '1.1.0');
  expect(named, named.stderr).toMatchObject({ code: 0 });
  expect(await running()).toBe('1.1.0');
  const unknown = await command('rollback', 'payments', '--version', '0.9.0');
  expect(unknown).toMatchObject({ code: 1 });
  expect(unknown.stderr).toMatch(/0\.9\.0 is not on this instance\n.*1\.0\.0/);
});

test('invalid arguments are reported before anything is done', async () => {
  const file = await fleet.pack('1.2.0');
  const nameless = join(fleet.dir, 'payments.tar.gz');
  await copyFile(file, nameless);
  const results = await Promise.all([
    command('deploy', 'payments', nameless),
    command('deploy', 'payments', join(fleet.dir, 'nothing-1.0.tar.gz')),
    command('deploy', 'ledger', file),
    command('rollback', 'ledger'),
    command('deploy', 'payments'),
  ]);
  expect(results.map(({ code }) => code)).toEqual([2, 2, 2, 2, 2]);
  expect(results[0]?.stderr).toMatch(/contains no version\n.*--version/);
  expect(results[2]?.stderr).toMatch(/ledger is not a service of this instance\n.*services: payments/);
  await expect.poll(spooled).toEqual([]);
});

test('a file whose checks fail is rolled back, and pins nothing', async () => {
  const file = await fleet.pack('1.2.0', { healthStatus: 500 });
  const result = await command('deploy', 'payments', file);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 1 });
  expect(result.stdout).toMatch(/ payments rolled-back 1\.2\.0, back to 1\.1\.0 in .*CHECK_FAILED/);
  expect(await running()).toBe('1.1.0');
  expect((await localStatus()).payments).toMatchObject({ state: 'rolled-back', version: '1.1.0' });
});

test('a version that is here with other bytes is refused', async () => {
  const other = join(fleet.dir, 'other-1.0.0.tar.gz');
  await copyFile(await fleet.pack('1.3.0'), other);
  const result = await command('deploy', 'payments', other);
  expect(result).toMatchObject({ code: 1 });
  expect(result.stdout).toMatch(/ payments failed 1\.0\.0 .*RELEASE_CONFLICT/);
});

test('a deploy of a file survives the death of the agent, and its copy is gone afterwards', async () => {
  const deploying = started('deploy', 'payments', await fleet.pack('1.3.0'));
  await deploying.line((line) => / payments (starting|checking|watching)$/.test(line));
  await fleet.stopAgent(instance, 'SIGKILL');
  const back = fleet.startAgent(instance);
  back.catch(() => {});
  const result = await deploying.finished;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await running()).toBe('1.3.0');
  await expect.poll(spooled).toEqual([]);
});

test('an order for an agent that does not run says so, and is carried out once it runs', async () => {
  await fleet.stopAgent(instance, 'SIGKILL');
  const result = await command('rollback', 'payments', '--no-wait');
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toMatch(/the agent is not running: systemctl start trigger-deploy-agent/);
  fleet.startAgent(instance).catch(() => {});
  await expect.poll(running, { timeout: 20_000 }).toBe('1.1.0');
  await expect.poll(spooled).toEqual([]);
  expect((await localStatus()).payments.undelivered).toBeGreaterThan(0);
});

test('once AWS is back the record has all of it, and the instance is PINNED there', async () => {
  const again = instance.agent?.line((line) => line.includes('works again after'));
  await proxy.accept();
  await again;
  await expect.poll(async () => (await localStatus()).payments.undelivered, { timeout: 30_000 }).toBe(0);
  const status = await fleet.publisher('status', 'payments', '--env', 'dev');
  expect(status.stdout).toMatch(/payments i-0a1 1\.1\.0 .*PINNED/);
  const { lastDeployment } = (await localStatus()).payments;
  const history = await fleet.publisher('history', 'payments', '--env', 'dev');
  expect(history, history.stderr).toMatchObject({ code: 0 });
  expect(history.stdout).toMatch(
    new RegExp(`${lastDeployment} rollback 1\\.3\\.0 → 1\\.1\\.0 \\(rollback\\) succeeded .*local on i-0a1`),
  );
  const shown = await fleet.publisher('show', lastDeployment, '--env', 'dev');
  expect(shown, shown.stderr).toMatchObject({ code: 0 });
  expect(shown.stdout).toMatch(/local on i-0a1/);
});

test('the next announcement unpins and deploys', async () => {
  await deployed('1.4.0');
  expect(await running()).toBe('1.4.0');
  expect((await localStatus()).payments).toMatchObject({ pinned: false, version: '1.4.0' });
  const status = await fleet.publisher('status', 'payments', '--env', 'dev');
  expect(status.stdout).not.toMatch(/PINNED/);
});
