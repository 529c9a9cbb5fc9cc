import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import { instanceKey } from '../support/cloud/sqs.ts';
import { deploy, push } from '../support/commands.ts';
import { logOf, nextLogged } from '../support/fleet/agent-log.ts';
import { ENV, type Instance } from '../support/fleet/fleet.ts';
import { takeDenials } from '../support/iam/ledger.ts';
import { AGENT } from '../support/programs.ts';
import { proved } from '../support/reliability.ts';
import { deleteQueueOf, deleteTopic, subscribersOf } from './support/cloud/topic.ts';
import { type FaultWorld, nextSucceeded, startFaultWorld } from './support/cloud/world.ts';
import { cheapServices, currentOf } from './support/fleet/by-hand.ts';

/** The queue, or the topic, is deleted while the agent program runs: it makes its own again, and catches up. */

const TOPIC = 'trigger-deploy-dev';

let world: FaultWorld;
let instance: Instance;

beforeAll(async () => {
  // The time for which a deleted queue's name stays taken is waited out in cloud-faults-queue.long.test.ts.
  world = await startFaultWorld({ queueRecreationMs: 0 });
  instance = await world.addInstance('i-0a1', cheapServices);
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) await push(world.fleet, version);
  await deploy(world.fleet, '1.0.0');
});
afterEach(() => world.proxy.clear());
afterAll(() => world?.stop());

const queue = agentQueueName(ENV, 'i-0a1');
const subscribed = () => nextLogged(instance, ({ msg }) => msg.startsWith('subscribed'));

test('a queue deleted under the agent is made again, subscribed, and what was announced meanwhile is deployed', async () => {
  const { cloud, publisher, topicArn } = world.fleet;
  const before = logOf(instance).length;
  const creating = world.proxy.meet({ kind: 'hold' }, ({ operation }) => operation === 'CreateQueue');
  await deleteQueueOf(cloud, instance.id);
  world.proxy.hangUp();
  await creating.reached(1);
  // Nor does it hear of anything by looking at the desired state by itself, before it has a queue again.
  const looking = world.proxy.meet(
    { kind: 'hold' },
    ({ operation, key }) => operation === 'GetObject' && key === keys.desired(ENV, 'payments'),
  );
  expect(cloud.queues()).not.toContain(queue);
  expect(await publisher('payments', '1.1.0', '--env', 'dev', '--no-wait')).toMatchObject({ code: 0 });
  expect(await currentOf(instance)).toBe('1.0.0');
  const done = nextSucceeded(instance, '1.1.0');
  creating.lift();
  looking.lift();
  await done;
  const happened = [
    'queue created',
    'subscribed, waiting for announcements',
    'converging on the desired state',
  ];
  const messages = logOf(instance)
    .slice(before)
    .map(({ msg }) => msg);
  expect(messages.filter((msg) => happened.includes(msg))).toEqual(happened);
  expect(await subscribersOf(cloud, topicArn)).toContain(queue);
  expect(await currentOf(instance)).toBe('1.1.0');
  // A queue that is gone has no tags, so the policy denies its use: the agent takes that for gone.
  const denied = takeDenials('agent');
  expect(denied.filter((one) => !one.endsWith(`:${queue}`))).toEqual([]);
  expect(denied.length).toBeGreaterThan(0);
  proved('late', 'announced while the instance had no queue: converged');
});

test('the queue made anew gets announcements as the first one did', async () => {
  await deploy(world.fleet, '1.2.0');
  expect(await currentOf(instance)).toBe('1.2.0');
});

test('an agent that starts without a topic stays up, and subscribes once there is one again', async () => {
  const { cloud, topicArn } = world.fleet;
  await world.fleet.stopAgent(instance);
  await deleteTopic(cloud, topicArn);
  const agent = world.fleet.start([AGENT, 'run', '--config', instance.configFile], {
    env: { ...cloud.env(instanceKey(instance.id)), AWS_ENDPOINT_URL: world.proxy.endpoint },
    cwd: instance.dir,
  });
  instance.agent = agent;
  await agent.line((line) => line.includes('TOPIC_NOT_FOUND'));
  const back = subscribed();
  expect(cloud.createTopic(TOPIC)).toBe(topicArn);
  await back;
  await deploy(world.fleet, '1.0.0');
  expect(await currentOf(instance)).toBe('1.0.0');
  proved('queue-gone', 'the agent program: queue deleted, topic deleted; both times back and caught up');
});
