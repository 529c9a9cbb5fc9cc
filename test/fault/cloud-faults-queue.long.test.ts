import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentQueueName } from '../../shared/names.ts';
import type { Which } from '../support/cloud/fault-proxy.ts';
import { deploy, push } from '../support/commands.ts';
import { ENV, type Instance } from '../support/fleet/fleet.ts';
import { takeDenials } from '../support/iam/ledger.ts';
import { proved } from '../support/reliability.ts';
import { deleteQueueOf, subscribersOf } from './support/cloud/topic.ts';
import { type FaultWorld, nextSucceeded, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf } from './support/fleet/by-hand.ts';

/** A queue deleted under the agent, with the minute that AWS keeps its name. */

const AWS_KEEPS_MS = 60_000;
const QUEUE = agentQueueName(ENV, 'i-0a1');

let world: FaultWorld;
let instance: Instance;

beforeAll(async () => {
  world = await startFaultWorld({ queueRecreationMs: AWS_KEEPS_MS });
  instance = await world.addInstance('i-0a1', cheapServices);
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) await push(world.fleet, version);
  await deploy(world.fleet, '1.0.0');
});
afterAll(() => world?.stop());

test('the queue is made again after the minute AWS asks for, not sooner, and what was announced meanwhile is deployed', async () => {
  const { cloud, publisher, topicArn } = world.fleet;
  const before = cloud.requests.length;
  await deleteQueueOf(cloud, instance.id);
  world.proxy.hangUp();
  await cloud.until(
    ({ operation, queue, status }) => operation === 'CreateQueue' && queue === QUEUE && status === 400,
  );
  const done = nextSucceeded(instance, '1.1.0');
  expect(await publisher('payments', '1.1.0', '--env', 'dev', '--no-wait')).toMatchObject({ code: 0 });
  // It looks at the desired state by itself, too: with a queue or without.
  await done;
  const isMaking: Which = ({ operation, queue }) => operation === 'CreateQueue' && queue === QUEUE;
  await cloud.until(
    (request) => isMaking(request) && request.status === 200 && cloud.requests.indexOf(request) > before,
  );
  const tries = cloud.requests.slice(before).filter(isMaking);
  expect(tries.map(({ status }) => status)).toEqual([400, 200]);
  expect((tries[1]?.at ?? 0) - (tries[0]?.at ?? 0)).toBeGreaterThanOrEqual(AWS_KEEPS_MS - 1);
  expect(await subscribersOf(cloud, topicArn)).toContain(QUEUE);
  expect(await currentOf(instance)).toBe('1.1.0');
  await deploy(world.fleet, '1.2.0');
  expect(await currentOf(instance)).toBe('1.2.0');
  // A queue that is gone has no tags, so the policy denies its use: the agent takes that for gone.
  expect(takeDenials('agent').filter((one) => !one.endsWith(`:${QUEUE}`))).toEqual([]);
  proved('queue-gone', 'with the minute that AWS keeps the name: asked twice, back and caught up');
});
