import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { agentQueueName } from '../../shared/names.ts';
import { slowDown } from '../support/cloud/fault-proxy-answers.ts';
import { instanceKey } from '../support/cloud/sqs.ts';
import { deploy, push } from '../support/commands.ts';
import { logOf, nextLogged } from '../support/fleet/agent-log.ts';
import { ENV, type Instance } from '../support/fleet/fleet.ts';
import { AGENT } from '../support/programs.ts';
import { proved } from '../support/reliability.ts';
import { type FaultWorld, nextSucceeded, purge, startFaultWorld } from './support/cloud/world.ts';
import { steadyClient } from './support/fleet/steady-client.ts';

/** AWS is away: the service never notices, the agent comes back by itself, what was announced arrives. */

let world: FaultWorld;
let instance: Instance;
const overcome: string[] = [];

beforeAll(async () => {
  world = await startFaultWorld();
  instance = await world.addInstance('i-0a1');
  for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0', '1.5.0'])
    await push(world.fleet, version);
  await deploy(world.fleet, '1.0.0');
});
afterEach(() => world.proxy.clear());
afterAll(() => world?.stop());

const receivingFails = () => nextLogged(instance, ({ msg }) => msg.startsWith('receiving failed'));

/**
 * Makes `fault` happen, waits until the agent says that it notices, announces `version` meanwhile, ends the fault;
 * the service must have been asked all the while, and must not have shown it.
 */
async function outage(
  version: string,
  fault: { begin: () => Promise<void>; end: () => Promise<void> },
): Promise<void> {
  const before = (await world.fleet.ask(instance))?.version ?? '';
  const client = steadyClient(instance);
  const noticed = receivingFails();
  await fault.begin();
  await noticed;
  await announceWithoutWaiting(version);
  const during = await client.stop();
  const done = nextSucceeded(instance, version);
  const after = steadyClient(instance);
  await fault.end();
  await done;
  await after.until(version);
  await after.stop();
  expect(during).toEqual([before]);
  expect(instance.agent?.process.exitCode).toBe(null);
  overcome.push(version);
}

async function announceWithoutWaiting(version: string): Promise<void> {
  const { code, stderr } = await world.fleet.publisher('payments', version, '--env', 'dev', '--no-wait');
  expect(code, stderr).toBe(0);
}

test('an endpoint that refuses: what is announced meanwhile is deployed once it accepts again', async () => {
  await outage('1.1.0', { begin: () => world.proxy.refuse(), end: () => world.proxy.accept() });
});

const ANSWERS: Record<string, { version: string; begin: () => unknown }> = {
  'is too busy for everything': {
    version: '1.2.0',
    begin: () =>
      (['s3', 'sqs', 'sns'] as const).map((service) =>
        world.proxy.meet(slowDown(service, 1), (request) => request.service === service),
      ),
  },
  'resets every connection': {
    version: '1.3.0',
    begin: () => world.proxy.meet({ kind: 'cut' }),
  },
};

test.each(Object.entries(ANSWERS))(
  'an AWS that %s: what is announced meanwhile is deployed once it answers again',
  async (_title, { version, begin }) => {
    await outage(version, {
      async begin() {
        begin();
        world.proxy.hangUp();
      },
      end: async () => world.proxy.clear(),
    });
  },
);

test('expired credentials: what is announced meanwhile is deployed once they are renewed', async () => {
  const who = instanceKey(instance.id);
  await outage('1.4.0', {
    async begin() {
      world.fleet.cloud.expireCredentials(who);
      world.proxy.hangUp();
    },
    end: async () => world.fleet.cloud.renewCredentials(who),
  });
  proved('outage', `${overcome.length} kinds of outage; the service answered each time it was asked`);
});

test('an agent that starts while AWS is away is ready, stays up, and converges once it is back', async () => {
  await world.fleet.stopAgent(instance);
  // The deployment before has announced its desired state as its last step.
  const queue = agentQueueName(ENV, instance.id);
  await purge(world.fleet.cloud, queue);
  await world.proxy.refuse();
  const client = steadyClient(instance);
  const agent = world.fleet.start([AGENT, 'run', '--config', instance.configFile], {
    env: { ...world.fleet.cloud.env(instanceKey(instance.id)), AWS_ENDPOINT_URL: world.proxy.endpoint },
    cwd: instance.dir,
  });
  instance.agent = agent;
  await agent.line((line) => line.includes('receiving failed'));
  expect(logOf(instance)[0]).toMatchObject({ msg: 'ready' });
  await announceWithoutWaiting('1.5.0');
  // As if it had been away for longer than its queue keeps a message: only the desired state knows.
  expect(world.fleet.cloud.messages(queue)).toHaveLength(1);
  await purge(world.fleet.cloud, queue);
  expect(await client.stop()).toEqual(['1.4.0']);
  const done = nextSucceeded(instance, '1.5.0');
  await world.proxy.accept();
  await done;
  expect(logOf(instance).map(({ msg }) => msg)).toContain('converging on the desired state');
  proved('late', 'announced while AWS was away from the instance, the message lost: converged');
});

test('after all of it the next deployment is as good as ever', async () => {
  await deploy(world.fleet, '1.0.0');
  expect(await world.fleet.ask(instance)).toEqual({ status: 200, version: '1.0.0' });
});
