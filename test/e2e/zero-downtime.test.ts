import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';
import { type Haproxy, haproxyIn } from '../support/fleet/haproxy.ts';
import { type Counted, type Load, startLoad } from '../support/fleet/load.ts';
import type { Behaviour } from '../support/fleet/sample-service/package.ts';
import { proved } from '../support/reliability.ts';

/**
 * A real haproxy in front of three instances, drained and undrained by hooks, and clients with kept connections that
 * ask all the time. Each test depends on those before it. Nothing is booted: the instances are agents of this machine.
 */

const IDS = ['i-0a1', 'i-0b2', 'i-0c3'];
const CLIENTS = 8;
/** Files in the directory of a service, without which some versions are not well. */
const WELL = 'well';
const WELL_AGAIN = 'well-again';

let fleet: Fleet;
let haproxy: Haproxy;
let instances: Instance[];
let url: string;
let load: Load | undefined;
let all = 0;

beforeAll(async () => {
  fleet = await startFleet();
  haproxy = haproxyIn(fleet.dir);
  const services = (instance: Instance) => ({
    payments: sampleService(instance, {
      hooks: {
        beforeStop: [{ run: haproxy.hook('drain', instance.id), timeout: '20s' }],
        afterStart: [{ run: haproxy.hook('ready', instance.id), timeout: '5s' }],
      },
    }),
  });
  instances = await Promise.all(IDS.map((id) => fleet.addInstance(id, services)));
  url = await haproxy.start(Object.fromEntries(instances.map(({ id, port }) => [id, port])));
  await push('1.0.0');
  await deploy(0, '1.0.0', '--strategy', 'all');
});
afterEach(async () => {
  await load?.stop();
  load = undefined;
});
afterAll(async () => {
  await haproxy?.stop();
  await fleet?.stop();
});

const versions = () => Promise.all(instances.map(async (instance) => (await fleet.ask(instance))?.version));

async function push(version: string, behaviour: Behaviour = {}) {
  const pushed = await fleet.publisher('push', 'payments', version, await fleet.pack(version, behaviour));
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
}

async function deploy(code: number, version: string, ...how: string[]) {
  const result = await fleet.publisher('payments', version, '--env', 'dev', ...how);
  expect(result, result.stdout + result.stderr).toMatchObject({ code });
  return result.stdout;
}

/** What came of the requests that were made while `work` was done. */
async function underLoad(what: string, work: () => Promise<void>): Promise<Counted> {
  load = startLoad(url, CLIENTS);
  await expect.poll(() => load?.counted().requests).toBeGreaterThan(100);
  await work();
  const counted = await load.stop();
  const versions = JSON.stringify(counted.versions);
  expect(await haproxy.drained()).toEqual([]);
  process.stdout.write(`${what}: ${counted.failed} of ${counted.requests} requests failed, ${versions}\n`);
  return counted;
}

const ROLLING = ['--canary', '1', '--auto-confirm', '500ms', '--batch', '1'];

test('a rolling deploy, canary first, fails no request', async () => {
  await push('1.1.0');
  const counted = await underLoad('rolling deploy', async () => {
    await deploy(0, '1.1.0', ...ROLLING);
  });
  expect(await versions()).toEqual(['1.1.0', '1.1.0', '1.1.0']);
  expect(counted).toMatchObject({ failed: 0, failures: {} });
  // Both versions were seen, by clients that kept their connections.
  expect(Object.keys(counted.versions).sort()).toEqual(['1.0.0', '1.1.0']);
  expect(counted.requests).toBeGreaterThan(1000);
  all += counted.requests;
});

test('a canary that is rolled back fails no request, and its version answers none', async () => {
  // In its watch: after the checks have passed, and long before 500 ms are over.
  await push('1.2.0', { afterHealth: { count: 2, ms: 100, does: 'crash' } });
  const counted = await underLoad('canary rolled back', async () => {
    expect(await deploy(1, '1.2.0', ...ROLLING)).toMatch(/rolled-back/);
  });
  expect(await versions()).toEqual(['1.1.0', '1.1.0', '1.1.0']);
  expect(counted).toMatchObject({ failed: 0, failures: {} });
  expect(Object.keys(counted.versions)).toEqual(['1.1.0']);
  all += counted.requests;
});

test('a version that fails after a good canary is rolled back everywhere and fails no request', async () => {
  await push('1.3.0', { healthyWithFile: WELL });
  const [first] = instances as [Instance];
  await writeFile(join(first.dir, 'payments', WELL), '');
  const counted = await underLoad('bad deploy', async () => {
    await deploy(1, '1.3.0', ...ROLLING);
  });
  expect(await versions()).toEqual(['1.1.0', '1.1.0', '1.1.0']);
  expect(counted).toMatchObject({ failed: 0, failures: {} });
  // The canary did serve it, and was taken back under load.
  expect(Object.keys(counted.versions).sort()).toEqual(['1.1.0', '1.3.0']);
  all += counted.requests;
});

test('an agent that is killed while its instance is drained brings it back, and no request fails', async () => {
  // On the first instance it passes its checks after the kill at the earliest: the hook has not run before.
  await push('1.3.1', { healthyWithFile: WELL_AGAIN });
  const [first, ...others] = instances as [Instance, ...Instance[]];
  const makeWell = ({ dir }: Instance) => writeFile(join(dir, 'payments', WELL_AGAIN), '');
  for (const instance of others) await makeWell(instance);
  const counted = await underLoad('agent killed while drained', async () => {
    const deploying = deploy(0, '1.3.1', ...ROLLING);
    await expect.poll(() => haproxy.drained(), { interval: 20 }).toEqual([first.id]);
    await first.agent?.line((line) => /"state":"checking".*1\.3\.1|1\.3\.1.*"state":"checking"/.test(line));
    await fleet.stopAgent(first, 'SIGKILL');
    expect(await haproxy.drained()).toEqual([first.id]);
    await makeWell(first);
    await fleet.startAgent(first);
    await deploying;
  });
  expect(await versions()).toEqual(['1.3.1', '1.3.1', '1.3.1']);
  expect(counted).toMatchObject({ failed: 0, failures: {} });
  all += counted.requests;
  proved(
    'traffic',
    `haproxy, a rolling deploy, two that rolled back, one whose agent was killed: 0 of ${all} requests failed`,
  );
});

test('the same rolling deploy without the hooks does fail requests', async () => {
  for (const instance of instances) {
    await fleet.stopAgent(instance);
    const config = parse(await readFile(instance.configFile, 'utf8'));
    config.services.payments.hooks = {};
    await writeFile(instance.configFile, stringify(config));
    await fleet.startAgent(instance);
  }
  await push('1.4.0');
  const counted = await underLoad('without hooks', async () => {
    await deploy(0, '1.4.0', ...ROLLING);
  });
  expect(await versions()).toEqual(['1.4.0', '1.4.0', '1.4.0']);
  expect(counted.failed).toBeGreaterThan(0);
});
