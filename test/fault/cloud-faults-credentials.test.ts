import { afterAll, beforeAll, expect, test } from 'vitest';
import { startFaultProxy } from '../support/cloud/fault-proxy.ts';
import { instanceKey } from '../support/cloud/sqs.ts';
import { deploy, push } from '../support/commands.ts';
import { nextLogged } from '../support/fleet/agent-log.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { type InstanceMetadata, startInstanceMetadata } from './support/cloud/instance-metadata.ts';
import { cheapServices, currentOf } from './support/fleet/by-hand.ts';

/** The credentials of an instance's role, as they come from its metadata: they end, change, or cannot be had. */

const OLD = 'session-i-0a1~first';
const NEWEST = 'session-i-0a1~last';

let metadata: InstanceMetadata;
let proxy: Awaited<ReturnType<typeof startFaultProxy>>;
let fleet: Fleet;
let instance: Instance;

beforeAll(async () => {
  metadata = await startInstanceMetadata(OLD);
  fleet = await startFleet({ agentEnv: () => ({ ...metadata.env, AWS_ENDPOINT_URL: proxy.endpoint }) });
  proxy = await startFaultProxy(fleet.cloud.endpoint);
  instance = await fleet.addInstance('i-0a1', cheapServices);
  for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) await push(fleet, version);
  await deploy(fleet, '1.0.0');
});
afterAll(async () => {
  await fleet?.stop();
  await proxy?.stop();
  await metadata?.stop();
});

/** By the agent: the publisher has keys of its own, in its process or in the test's. */
const keysUsed = () =>
  new Set(
    fleet.cloud.requests.map(({ accessKeyId }) => accessKeyId).filter((key) => !key?.startsWith('publisher')),
  );

/** `accessKeyId` is refused from now on; resolves once the agent has said so. */
async function refused(accessKeyId: string): Promise<void> {
  fleet.cloud.expireCredentials(accessKeyId);
  const denied = nextLogged(instance, ({ err }) => err?.code === 'AWS_DENIED');
  proxy.hangUp();
  expect((await denied).err?.message).toContain('ExpiredToken');
}

test('credentials that expire before the metadata have new ones are refused, and taken over once they are there', async () => {
  expect(keysUsed()).toEqual(new Set([OLD]));
  await refused(OLD);
  metadata.rotate(instanceKey(instance.id));
  await deploy(fleet, '1.1.0');
  expect(await currentOf(instance)).toBe('1.1.0');
  expect(keysUsed()).toEqual(new Set([OLD, instanceKey(instance.id)]));
});

test('without metadata the credentials that were had serve on', async () => {
  const asked = metadata.asked();
  await metadata.stop();
  await deploy(fleet, '1.2.0');
  expect(await currentOf(instance)).toBe('1.2.0');
  expect(metadata.asked()).toBe(asked);
});

test('credentials that are refused while there is no metadata are taken over once it is back', async () => {
  await refused(instanceKey(instance.id));
  metadata.rotate(NEWEST);
  await metadata.start();
  await deploy(fleet, '1.3.0');
  expect(await currentOf(instance)).toBe('1.3.0');
  proved('outage', "a role's credentials expired and renewed, no metadata, both at once: deployed each time");
});
