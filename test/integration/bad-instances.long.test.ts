import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { agentQueueName, keys } from '../../shared/names.ts';
import type { Report } from '../../shared/report.ts';
import { instanceKey } from '../support/cloud/sqs.ts';
import { deploy, push } from '../support/commands.ts';
import { nextLogged } from '../support/fleet/agent-log.ts';
import { BUCKET, ENV, type Fleet, type Instance, startFleet } from '../support/fleet/fleet.ts';
import { snapshotOf } from '../support/fleet/snapshot.ts';
import { AGENT } from '../support/programs.ts';
import { eventsOf, parseEvent } from '../support/publisher/events.ts';

/** Instances on which things go wrong: the service never answers, one speaks for another, the credentials end. */

let fleet: Fleet;
let honest: Instance;
let liar: Instance;

beforeAll(async () => {
  fleet = await startFleet();
  [honest, liar] = await Promise.all([fleet.addInstance('i-0a1'), fleet.addInstance('i-0b2')]);
  await push(fleet, '1.0.0');
  await deploy(fleet, '1.0.0');
});
afterAll(() => fleet?.stop());

const versions = () =>
  Promise.all([honest, liar].map(async (instance) => (await fleet.ask(instance))?.version));

test('a version whose health check never answers is rolled back at the deadline, everywhere', async () => {
  await push(fleet, '1.1.0', { neverAnswer: true });
  const desired = fleet.cloud.object(BUCKET, keys.desired(ENV, 'payments'))?.etag;
  const logged = nextLogged(honest, ({ msg }) => msg === 'rolled-back');
  const result = await fleet.publisher('payments', '1.1.0', '--env', 'dev');
  expect(result).toMatchObject({ code: 1, stderr: '' });
  for (const id of [honest.id, liar.id]) {
    expect(result.stdout).toMatch(
      new RegExp(
        `payments ${id} rolled-back 1.1.0 back to 1.0.0 CHECK_FAILED: GET http\\S+/health: http no answer within 2 s \\(0 of 2\\) after \\d+(?:\\.\\d)? s`,
      ),
    );
  }
  expect(result.stdout).toMatch(
    /settled failed: 0 of 2 succeeded, 2 rolled back .*the desired state stays 1\.0\.0/,
  );
  expect(await logged).toMatchObject({ level: 'warn', code: 'CHECK_FAILED' });
  expect(await versions()).toEqual(['1.0.0', '1.0.0']);
  expect(fleet.cloud.object(BUCKET, keys.desired(ENV, 'payments'))?.etag).toBe(desired);
});

test("a report in another instance's name is dropped with a note, and the result is what that instance says", async () => {
  await push(fleet, '1.2.0');
  const publisher = fleet.startPublisher('payments', '1.2.0', '--env', 'dev', '--output', 'json');
  const { deployment = '' } = parseEvent(await publisher.line((line) => parseEvent(line).type === 'started'));
  const replies = await fleet.cloud.until(
    ({ operation, queue, status }) =>
      operation === 'CreateQueue' &&
      status === 200 &&
      fleet.cloud.queues().includes(queue ?? '') &&
      (queue?.includes('-reply-') ?? false),
  );
  const forged = {
    kind: 'report',
    v: 1,
    deployment,
    env: ENV,
    service: 'payments',
    instance: honest.id,
    sequence: 3,
    n: 999,
    at: new Date().toISOString(),
    state: 'broken',
    version: '1.2.0',
    error: { code: 'CHECK_FAILED', message: 'so says a liar' },
    timings: {},
  } satisfies Report;
  fleet.cloud.sendRaw(replies.queue ?? '', JSON.stringify(forged), instanceKey(liar.id));
  fleet.cloud.sendRaw(replies.queue ?? '', 'not JSON', instanceKey(liar.id));
  const result = await publisher.finished;
  expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
  const events = eventsOf(result);
  const notes = events.filter(({ type }) => type === 'note').map(({ text }) => text);
  expect(notes).toContainEqual(expect.stringMatching(/in the name of i-0a1: its sender is AROA\w+:i-0b2/));
  expect(result.stdout).not.toContain('so says a liar');
  expect(events.at(-1)).toMatchObject({ type: 'settled', outcome: 'succeeded', counts: { succeeded: 2 } });
  expect(await versions()).toEqual(['1.2.0', '1.2.0']);
});

test('an agent whose credentials expire keeps its service, and deploys what was announced once they work again', async () => {
  await push(fleet, '1.3.0');
  const before = await snapshotOf(fleet, honest);
  fleet.cloud.expireCredentials(instanceKey(honest.id));
  const denied = nextLogged(honest, ({ err }) => err?.code === 'AWS_DENIED');
  // Any message ends the long poll that was begun with the old credentials.
  fleet.cloud.sendRaw(agentQueueName(ENV, honest.id), 'wake up');
  expect(await denied).toMatchObject({ level: 'warn' });
  const publisher = fleet.startPublisher('payments', '1.3.0', '--env', 'dev');
  await publisher.line((line) => line.includes('i-0b2 succeeded 1.3.0'));
  expect(await snapshotOf(fleet, honest)).toEqual(before);
  fleet.cloud.renewCredentials(instanceKey(honest.id));
  expect(await publisher.finished).toMatchObject({ code: 0 });
  expect(await versions()).toEqual(['1.3.0', '1.3.0']);
});

test('an agent that starts without any credentials stays up and keeps its service', async () => {
  const before = await snapshotOf(fleet, honest);
  await fleet.stopAgent(honest);
  const env = { ...fleet.env, AWS_ACCESS_KEY_ID: '' };
  const agent = fleet.start([AGENT, 'run', '--config', honest.configFile], { env, cwd: honest.dir });
  await agent.line((line) => line.includes('AWS_DENIED') && line.includes('no AWS credentials found'));
  expect(agent.process.exitCode).toBe(null);
  expect(await snapshotOf(fleet, honest)).toEqual(before);
  agent.process.kill('SIGTERM');
  await once(agent.process, 'exit');
  await fleet.startAgent(honest);
});

test('after all of it the next deployment is as good as ever', async () => {
  await deploy(fleet, '1.0.0');
  expect(await versions()).toEqual(['1.0.0', '1.0.0']);
});
