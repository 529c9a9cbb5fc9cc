import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { keys } from '../../shared/names.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import { deploy, push } from '../support/commands.ts';
import { type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';

/** Instances that come late, stop, leave and come back. Each test depends on those before it. */

let fleet: Fleet;
let first: Instance;

beforeAll(async () => {
  fleet = await startFleet();
  [first] = await Promise.all([fleet.addInstance('i-0a1'), fleet.addInstance('i-0b2')]);
  await push(fleet, '1.0.0');
  await push(fleet, '1.1.0');
  await deploy(fleet, '1.0.0');
});
afterAll(() => fleet?.stop());

test('an instance that starts late comes up on the current version by itself', async () => {
  const late = await fleet.addInstance('i-0d4');
  const key = keys.instance('dev', 'payments', userIdOf('i-0d4'));
  const runs = () =>
    fleet.cloud.object('acme-deploys-dev', key)?.body.toString().includes('"version":"1.0.0"');
  while (!runs()) {
    const written = fleet.cloud.requests.length;
    await fleet.cloud.until(
      (request) =>
        request.key === key && request.status === 200 && fleet.cloud.requests.indexOf(request) >= written,
    );
  }
  expect((await fleet.ask(late))?.version).toBe('1.0.0');
  expect(await readlink(join(late.dir, 'payments', 'current'))).toBe('releases/1.0.0');
});

test('an agent that is stopped leaves its service running, and deploys again when it is back', async () => {
  const { code } = await fleet.stopAgent(first);
  expect(code).toBe(0);
  expect((await fleet.ask(first))?.version).toBe('1.0.0');
  await fleet.startAgent(first);
  const result = await fleet.publisher('payments', '1.1.0', '--env', 'dev');
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  expect((await fleet.ask(first))?.version).toBe('1.1.0');
});

test('leave takes queue and subscription away, no deployment waits for it, and the service runs on', async () => {
  await fleet.stopAgent(first);
  const result = await fleet.runAgentCommand(first, 'leave');
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(fleet.cloud.queues()).not.toContain(`trigger-deploy-dev-${first.id}`);
  const { code, stdout } = await fleet.publisher('payments', '1.0.0', '--env', 'dev');
  expect(code, stdout).toBe(0);
  expect(stdout).not.toContain(first.id);
  expect((await fleet.ask(first))?.version).toBe('1.1.0');
});

test('an agent that is started again after leave is back, on what should run', async () => {
  await fleet.startAgent(first);
  await expect.poll(async () => (await fleet.ask(first))?.version).toBe('1.0.0');
});
