import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Instance } from '../support/fleet/fleet.ts';
import { ALIAS, type KmsFleet, startKmsFleet } from '../support/fleet/kms-fleet.ts';

/** Real programs, with a signing key in KMS. Each test depends on those before it. */

let world: KmsFleet;
let first: { id: string; file: string };
let instances: Instance[];

beforeAll(async () => {
  world = await startKmsFleet();
  first = await world.newKey('first');
  world.kms.setAlias(ALIAS, first.id);
  await world.publishWith(`kms:${ALIAS}`);
  instances = await Promise.all(['i-0a1', 'i-0b2'].map((id) => world.addInstance(id, [first.file])));
});
afterAll(() => world?.stop());

const signatures = () => world.kms.calls.filter(({ operation }) => operation === 'Sign');
const versions = () => Promise.all(instances.map(async (one) => (await world.fleet.ask(one))?.version));

test('what KMS signs, agents verify offline; a deployment costs a few signatures', async () => {
  const { fleet } = world;
  const pushed = await fleet.publisher('push', 'payments', '1.0.0', await fleet.pack('1.0.0'));
  expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
  const before = signatures().length;
  const deployed = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(deployed, deployed.stdout + deployed.stderr).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(['1.0.0', '1.0.0']);
  // The record at each of its steps, the announcement, the desired state.
  expect(signatures().length - before).toBeLessThanOrEqual(6);
  const how = { algorithm: 'ECDSA_SHA_256', messageType: 'DIGEST', keyId: world.kms.arnOf(first.id) };
  for (const call of signatures()) expect(call).toMatchObject(how);
  expect(world.kms.calls.filter(({ accessKey }) => accessKey.startsWith('session-'))).toEqual([]);
});

test('status and history need no permission for KMS when `trust` has the public key', async () => {
  const { fleet, kms } = world;
  await world.publishWith(`kms:${ALIAS}`, [first.file]);
  for (const operation of ['Sign', 'GetPublicKey']) {
    kms.fail(operation, { status: 400, code: 'AccessDeniedException' });
  }
  for (const verb of ['status', 'history']) {
    const looked = await fleet.publisher(verb, 'payments', '--env', 'dev');
    expect(looked, looked.stderr).toMatchObject({ code: 0 });
    expect(looked.stdout).toContain('1.0.0');
  }
  const deployed = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(deployed.code).toBe(4);
  expect(deployed.stderr).toMatch(
    /may not use the KMS key alias\/trigger-deploy-dev[\s\S]*→ allow kms:GetPublicKey/,
  );
  for (const operation of ['Sign', 'GetPublicKey']) kms.fail(operation, { status: 400, code: '' }, 0);
});

test('after the alias was retargeted to a key that no instance trusts, nothing is announced', async () => {
  const { fleet } = world;
  const second = await world.newKey('second');
  world.kms.setAlias(ALIAS, second.id);
  const published = fleet.cloud.requests.filter(({ operation }) => operation === 'Publish').length;
  const deployed = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(deployed.code).toBe(2);
  expect(deployed.stderr).toMatch(/2 of 2 instances of payments do not trust the signing key/);
  expect(fleet.cloud.requests.filter(({ operation }) => operation === 'Publish').length).toBe(published);
  await world.publishWith(`kms:${ALIAS}`);
  const without = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(without.code).toBe(4);
  expect(without.stderr).toMatch(
    /kms:alias\/trigger-deploy-dev is the key with the kid[\s\S]*→ if the alias was retargeted/,
  );
});
