import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { slowDown } from '../support/cloud/fault-proxy-answers.ts';
import { deploy, push } from '../support/commands.ts';
import { logOf } from '../support/fleet/agent-log.ts';
import type { Instance } from '../support/fleet/fleet.ts';
import { proved } from '../support/reliability.ts';
import { type FaultWorld, nextSucceeded, startFaultWorld } from './support/cloud/world.ts';
import { steadyClient } from './support/fleet/steady-client.ts';

/** AWS is away for more than a minute, in one way after the other, until the agent's patience is at its longest. */

const BLACK_HOLE_MS = 40_000;
const REFUSED_MS = 25_000;
const BUSY_MS = 15_000;

let world: FaultWorld;
let instance: Instance;

beforeAll(async () => {
  world = await startFaultWorld();
  instance = await world.addInstance('i-0a1');
  await push(world.fleet, '1.0.0');
  await push(world.fleet, '1.1.0');
  await deploy(world.fleet, '1.0.0');
});
afterAll(() => world?.stop());

test('through 80 s without AWS the service answers, and what was announced meanwhile is deployed within a minute or so', async () => {
  const { proxy, fleet } = world;
  const client = steadyClient(instance);
  const hole = proxy.meet({ kind: 'hold' });
  proxy.hangUp();
  await hole.reached(1);
  await sleep(BLACK_HOLE_MS);
  await proxy.refuse();
  hole.lift();
  const announced = await fleet.publisher('payments', '1.1.0', '--env', 'dev', '--no-wait');
  expect(announced.code, announced.stderr).toBe(0);
  await sleep(REFUSED_MS);
  for (const service of ['s3', 'sqs', 'sns'] as const) {
    proxy.meet(slowDown(service, 5), (request) => request.service === service);
  }
  await proxy.accept();
  await sleep(BUSY_MS);
  expect(await client.stop()).toEqual(['1.0.0']);
  expect(instance.agent?.process.exitCode).toBe(null);
  const done = nextSucceeded(instance, '1.1.0');
  proxy.clear();
  await done;
  expect(await fleet.ask(instance)).toEqual({ status: 200, version: '1.1.0' });
  expect(logOf(instance).filter(({ msg }) => msg === 'ready')).toHaveLength(1);
  proved('outage', '80 s of silence, refusal and 503: answered throughout, deployed afterwards');
});
