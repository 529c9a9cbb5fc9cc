import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import { BUCKET, ENV, TOPIC } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { deleteSubscriptionsOf, deleteTopic, publish, subscribersOf } from './support/cloud/topic.ts';
import { currentOf, SERVICE } from './support/fleet/by-hand.ts';
import type { LiveAgent } from './support/fleet/live-agent.ts';
import { type LiveWorld, startLiveWorld } from './support/fleet/live-world.ts';

/** What the agent notices by the clock only: it renews its subscription, and its record, every few minutes. */

const ID = 'i-0a1';
const QUEUE = agentQueueName(ENV, ID);
const MINUTE = 60_000;

let world: LiveWorld;
let agent: LiveAgent;

beforeAll(async () => {
  world = await startLiveWorld({ versions: 6 });
  agent = await world.openAgent(ID);
  agent.start();
  await world.cloud.until(({ operation, status }) => operation === 'ReceiveMessage' && status === undefined);
  await announced(1);
});
afterAll(() => world?.stop());

/** Publishes the deployment, and waits until it runs. */
async function announced(sequence: number): Promise<void> {
  await publish(world.cloud, world.topic, world.sign(world.change(sequence)));
  await runs(sequence);
}

async function runs(sequence: number): Promise<void> {
  await agent.until(({ running, active }) => running?.sequence === sequence && active === null);
  expect(await currentOf(agent)).toBe(`1.0.${sequence}`);
}

/** Lets minutes pass, then ends the long poll under way: the loop goes round and looks at the clock. */
async function later(minutes: number, then: { operation: string; status: number }): Promise<void> {
  const before = world.cloud.requests.length;
  agent.putForward(minutes * MINUTE);
  world.cloud.sendRaw(QUEUE, 'wake up');
  await world.cloud.until(
    (request) =>
      world.cloud.requests.indexOf(request) >= before &&
      request.operation === then.operation &&
      request.status === then.status,
  );
}

test('a subscription that was deleted is renewed within twenty minutes, and what was announced meanwhile is deployed', async () => {
  await deleteSubscriptionsOf(world.cloud, world.topic);
  const missed = world.change(2);
  await publish(world.cloud, world.topic, world.sign(missed));
  expect(world.cloud.messages(QUEUE)).toEqual([]);
  world.desire(missed);
  await later(21, { operation: 'Subscribe', status: 200 });
  await runs(2);
  expect(await subscribersOf(world.cloud, world.topic)).toEqual([QUEUE]);
  await announced(3);
});

test('while the topic is gone the agent still takes what its queue holds; with the topic back it is subscribed again', async () => {
  await deleteTopic(world.cloud, world.topic);
  await later(21, { operation: 'Subscribe', status: 404 });
  world.cloud.sendRaw(QUEUE, world.sign(world.change(4)));
  await runs(4);
  world.cloud.createTopic(TOPIC);
  await later(2, { operation: 'Subscribe', status: 200 });
  await announced(5);
  proved('queue-gone', 'by the clock: a subscription, and a topic, deleted under the agent; both renewed');
});

test('an instance record that could not be written is written minutes later', async () => {
  const key = keys.instance(ENV, SERVICE, userIdOf(ID));
  const recorded = () => JSON.parse(world.cloud.object(BUCKET, key)?.body.toString() ?? '{}').version;
  const before = recorded();
  // As often as the SDK tries.
  const isRecord = (request: { operation: string; key?: string }) =>
    request.operation === 'PutObject' && request.key === key;
  const puts = () =>
    world.cloud.requests.filter((request) => isRecord(request) && request.status === 503).length;
  world.cloud.fail('unavailable', isRecord, 4);
  await announced(6);
  await world.cloud.until(() => puts() === 4);
  expect(recorded()).toBe(before);
  agent.putForward(7 * MINUTE);
  await world.cloud.until(() => recorded() === '1.0.6');
  proved('report-lost', 'an instance record lost with its change: written by the next look');
});
