import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Instance } from '../support/fleet/fleet.ts';
import { ALIAS, type KmsFleet, startKmsFleet } from '../support/fleet/kms-fleet.ts';

/** A rotation of a key in KMS by the steps of docs/OPERATIONS.md, while the agents run. Each test depends on those before it. */

let world: KmsFleet;
let first: { id: string; file: string };
let second: { id: string; file: string };
let instances: Instance[];

beforeAll(async () => {
  world = await startKmsFleet();
  first = await world.newKey('first');
  world.kms.setAlias(ALIAS, first.id);
  await world.publishWith(`kms:${ALIAS}`);
  instances = await Promise.all(['i-0a1', 'i-0b2'].map((id) => world.addInstance(id, [first.file])));
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) {
    await ok('push', 'payments', version, await world.fleet.pack(version));
  }
  for (const version of ['1.0.0', '1.1.0']) await ok('payments', version, '--env', 'dev');
});
afterAll(() => world?.stop());

const run = (...args: string[]) => world.fleet.publisher(...args);
async function ok(...args: string[]): Promise<string> {
  const done = await run(...args);
  expect(done, done.stdout + done.stderr).toMatchObject({ code: 0 });
  return done.stdout;
}
const versions = () => Promise.all(instances.map(async (one) => (await world.fleet.ask(one))?.version));
const check = (...more: string[]) => run('keygen', '--rotate', '--check', '--env', 'dev', ...more);

test('1 and 2: the check fails until every instance trusts the new key', async () => {
  second = await world.newKey('second');
  const [one, other] = instances as [Instance, Instance];
  expect((await check('--to', second.file)).stdout).toContain('0 of 2 trust it');
  await world.retrust(one, [first.file, second.file]);
  const half = await check('--to', second.file);
  expect(half.code).toBe(1);
  expect(half.stdout).toMatch(/1 of 2 trust it[\s\S]*i-0b2 does not trust it/);
  await world.retrust(other, [first.file, second.file]);
  const ready = await check('--to', second.file);
  expect(ready, ready.stdout).toMatchObject({ code: 0 });
});

test('3: after the switch, versions that the former key signed are deployed and rolled back to', async () => {
  world.kms.setAlias(ALIAS, second.id);
  await world.publishWith(`kms:${ALIAS}`, [first.file]);
  await ok('payments', '1.2.0', '--env', 'dev');
  await ok('rollback', 'payments', '--env', 'dev');
  expect(await versions()).toEqual(['1.1.0', '1.1.0']);
  expect((await check()).code).toBe(1);
});

test('4: a rotation that is killed halfway is completed by the next one', async () => {
  const { kms, fleet } = world;
  const signed = () => kms.calls.filter(({ operation }) => operation === 'Sign').length;
  const before = signed();
  const killed = fleet.startPublisher('keygen', '--rotate', '--env', 'dev');
  const looking = setInterval(() => {
    // The roll call, then some documents.
    if (signed() > before + 3) killed.process.kill('SIGKILL');
  }, 1);
  const { code } = await killed.finished.finally(() => clearInterval(looking));
  expect(code).toBeNull();
  await ok('status', 'payments', '--env', 'dev');
  expect(await ok('keygen', '--rotate', '--env', 'dev')).toMatch(/\d+ documents signed again/);
  expect(await ok('keygen', '--rotate', '--env', 'dev')).toContain('0 documents signed again');
});

test('5: then nothing needs the former key: instances and publishers forget it', async () => {
  await world.publishWith(`kms:${ALIAS}`);
  expect((await check()).stdout).toMatch(/0 signed by another key[\s\S]*remove the former one/);
  for (const one of instances) await world.retrust(one, [second.file]);
  world.kms.setState(first.id, 'PendingDeletion');
  const fresh = await world.addInstance('i-0c3', [second.file]);
  instances.push(fresh);
  await expect.poll(async () => (await world.fleet.ask(fresh))?.version, { timeout: 20_000 }).toBe('1.1.0');
  await ok('payments', '1.2.0', '--env', 'dev');
  await ok('payments', '1.0.0', '--env', 'dev');
  expect(new Set(await versions())).toEqual(new Set(['1.0.0']));
  expect(await ok('history', 'payments', '--env', 'dev')).not.toContain('counts for nothing');
});

test('no agent ever asked KMS', () => {
  expect(world.kms.calls.filter(({ accessKey }) => accessKey.startsWith('session-'))).toEqual([]);
  expect(world.kms.calls.every(({ accessKey }) => accessKey !== '')).toBe(true);
});
