import { afterAll, beforeAll, expect, test } from 'vitest';
import { deploy, push } from '../support/commands.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';

/** A pull request on its own instances: those that its tags mark, and no others. */

let fleet: Fleet;
let marked: Instance;
let other: Instance;

beforeAll(async () => {
  fleet = await startFleet();
  [marked, other] = (await Promise.all([
    fleet.addInstance('i-0a1', undefined, { tags: { stack: 'pr-1234', team: 'red' } }),
    fleet.addInstance('i-0b2', undefined, { tags: { stack: 'main', team: 'red' } }),
  ])) as [Instance, Instance];
  for (const version of ['1.0.0', '1.1.0']) await push(fleet, version);
  await deploy(fleet, '1.0.0');
});
afterAll(() => fleet?.stop());

test('a version is deployed to the instances with the tags asked for, and to no other', async () => {
  const how = ['--where', 'stack=pr-1234', '--where', 'team=red'];
  const result = await fleet.publisher('payments', '1.1.0', '--env', 'dev', ...how);
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect(await fleet.ask(marked)).toMatchObject({ version: '1.1.0' });
  expect(await fleet.ask(other)).toMatchObject({ version: '1.0.0' });
});

test('no instance with the tags is an answer of its own, and nothing is deployed', async () => {
  const result = await fleet.publisher('payments', '1.0.0', '--env', 'dev', '--where', 'stack=pr-9');
  expect(result.code).toBe(4);
  expect(result.stderr).toContain('no instance of payments has the tags stack=pr-9');
});

test('the agent says what its instance is marked with', async () => {
  const { stdout } = await fleet.runAgentCommand(marked, 'status');
  expect(stdout).toContain('tags stack=pr-1234, team=red');
});
