import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploy, push } from '../support/commands.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import type { Program } from '../support/programs.ts';
import { proved } from '../support/reliability.ts';
import { cheapServices, currentOf } from './support/fleet/by-hand.ts';

/** An agent is killed and started again: the poll of the dead one receives the next announcement. */

let fleet: Fleet;
let instance: Instance;

beforeAll(async () => {
  fleet = await startFleet({ cloud: { deadPollsReceive: true } });
  instance = await fleet.addInstance('i-0a1', cheapServices);
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) await push(fleet, version);
  await deploy(fleet, '1.0.0');
});
afterAll(() => fleet?.stop());

test.each([
  ['all', '1.1.0'],
  ['rolling', '1.2.0'],
])('an announcement that a dead poll received is made again (--strategy %s)', async (strategy, version) => {
  const { process } = instance.agent as Program;
  process.kill('SIGKILL');
  await once(process, 'exit');
  await fleet.startAgent(instance);
  const result = await fleet.publisher('payments', version, '--env', 'dev', '--strategy', strategy);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await currentOf(instance)).toBe(version);
  const announced = fleet.cloud.requests.filter(({ operation }) => operation === 'Publish').length;
  expect(announced).toBeGreaterThan(1);
  proved('late', 'announced to the poll of an agent that was killed: asked again');
});

test('an instance that installs after the publisher gave up is DRIFT, and what status says brings it back', async () => {
  const { process } = instance.agent as Program;
  process.kill('SIGKILL');
  await once(process, 'exit');
  const given = await fleet.publisher('payments', '1.1.0', '--env', 'dev', '--strategy', 'all');
  expect(given, given.stdout + given.stderr).toMatchObject({ code: 3 });
  await fleet.startAgent(instance);
  await expect.poll(() => currentOf(instance), { timeout: 60_000 }).toBe('1.1.0');
  const status = async () => (await fleet.publisher('status', 'payments', '--env', 'dev')).stdout;
  await expect.poll(status, { timeout: 60_000 }).toContain('succeeded active DRIFT');
  const back = await fleet.publisher('payments', '1.2.0', '--env', 'dev', '--strategy', 'all');
  expect(back, back.stdout + back.stderr).toMatchObject({ code: 0 });
  expect(await currentOf(instance)).toBe('1.2.0');
  expect(await status()).not.toContain('DRIFT');
});
