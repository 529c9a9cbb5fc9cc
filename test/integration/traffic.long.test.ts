import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FakeElb, startFakeElb } from '../support/cloud/fake-elb.ts';
import { push } from '../support/commands.ts';
import { type Fleet, type Instance, sampleService, startFleet } from '../support/fleet/fleet.ts';

/** An agent among the targets of a load balancer, through deployments that go well, go back, and lose their agent. */

const GROUP = 'arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067';
const ID = 'i-0a1';

let fleet: Fleet;
let elb: FakeElb;
let instance: Instance;

beforeAll(async () => {
  elb = await startFakeElb();
  fleet = await startFleet({ agentEnv: () => elb.env });
  const traffic = { targetGroups: [{ arn: GROUP }], drainTimeout: '20s', healthyTimeout: '20s' };
  elb.register(GROUP, ID);
  instance = await fleet.addInstance(ID, (one) => ({ payments: sampleService(one, { traffic }) }));
  for (const [version, behaviour] of [
    ['1.0.0', {}],
    ['1.1.0', {}],
    ['1.2.0', { healthStatus: 500 }],
    ['1.3.0', {}],
  ] as const) {
    await push(fleet, version, behaviour);
  }
  await deploy(0, '1.0.0');
});
afterAll(async () => {
  await fleet?.stop();
  await elb?.stop();
});

async function deploy(code: number, version: string) {
  const result = await fleet.publisher('payments', version, '--env', 'dev');
  expect(result, result.stdout + result.stderr).toMatchObject({ code });
  return result.stdout;
}

const changes = () =>
  elb.calls.filter((call) => /^(Der|R)egister/.test(call)).map((call) => call.split(' ')[0]);

test('a deployment takes the instance out and puts it back', async () => {
  expect(changes()).toEqual([]);
  await deploy(0, '1.1.0');
  expect(changes()).toEqual(['DeregisterTargets', 'RegisterTargets']);
  expect(elb.stateOf(GROUP, ID)).toBe('healthy');
});

test('one that is rolled back, too', async () => {
  elb.calls.length = 0;
  expect(await deploy(1, '1.2.0')).toMatch(/rolled-back/);
  expect(changes()).toEqual(['DeregisterTargets', 'RegisterTargets']);
  expect(elb.stateOf(GROUP, ID)).toBe('healthy');
});

test('an agent that is killed while it drains goes on, and the instance is back in the end', async () => {
  elb.calls.length = 0;
  elb.delayMs = 2500;
  const deploying = deploy(0, '1.3.0');
  await expect.poll(() => elb.stateOf(GROUP, ID), { interval: 20 }).toBe('draining');
  await fleet.stopAgent(instance, 'SIGKILL');
  await fleet.startAgent(instance);
  await deploying;
  expect(await fleet.ask(instance)).toMatchObject({ version: '1.3.0' });
  expect(elb.stateOf(GROUP, ID)).toBe('healthy');
  expect(changes()).toEqual(['DeregisterTargets', 'DeregisterTargets', 'RegisterTargets']);
});

test('check names the group, and what an instance that may not see it lacks', async () => {
  elb.delayMs = 50;
  const well = await fleet.runAgentCommand(instance, 'check');
  expect(well.stdout).toContain(`✓ ${ID} is healthy in the target group web`);
  elb.fail('DescribeTargetHealth', { status: 403, code: 'AccessDenied' });
  const denied = await fleet.runAgentCommand(instance, 'check');
  expect(denied.code).toBe(1);
  expect(denied.stdout).toMatch(/✗ cannot read the target group web: AWS refuses \(AccessDenied/);
});

test('a load balancer that cannot be asked fails the deployment before anything stops', async () => {
  const { pid } = JSON.parse(await (await fetch(`http://127.0.0.1:${instance.port}/`)).text());
  expect(await deploy(1, '1.1.0')).toMatch(/failed.*TRAFFIC_FAILED/);
  expect(JSON.parse(await (await fetch(`http://127.0.0.1:${instance.port}/`)).text())).toMatchObject({ pid });
  expect(await readFile(instance.logFile, 'utf8')).toContain('nothing was changed');
});
