import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import '../../publisher/fleet/ec2.ts';
import { deploy } from '../../publisher/commands/deploy.ts';
import { plan } from '../../publisher/commands/plan.ts';
import type { PublisherEvent } from '../../publisher/events.ts';
import type { Strategy } from '../../publisher/plan/strategy.ts';
import { createLines } from '../../publisher/render/lines.ts';
import { keys } from '../../shared/names.ts';
import { type FakeEc2, startFakeEc2 } from '../support/cloud/fake-ec2.ts';
import { userIdOf } from '../support/cloud/sqs.ts';
import { options, settled } from '../support/publisher/deploy-fixture.ts';
import { HandClock, notes, openStage, type Stage } from '../support/publisher/stage.ts';

/**
 * Instances that are gone without `leave`, and that no deployment waits for. The client of EC2 is imported before: no time
 * of the clock may pass while it is loaded.
 */

const HOUR = 3_600_000;
const [A, B, C, D, GONE] = ['i-0000000a', 'i-0000000b', 'i-0000000c', 'i-0000000d', 'i-0000000e'] as const;
const ROLLING: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 2 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};

let ec2: FakeEc2;
let stage: Stage;
async function begin(change: Parameters<typeof openStage>[0] = {}): Promise<void> {
  stage = await openStage(change);
  Object.assign(process.env, ec2.env);
  await stage.publish('payments', '1.1.0');
}
beforeEach(async () => {
  ec2 = await startFakeEc2();
});
afterEach(async () => {
  delete process.env.AWS_ENDPOINT_URL_EC2;
  await stage.close();
  await ec2.stop();
});

/** An instance with a record and a heartbeat of `hours` ago, that says nothing. */
function silent(instance: string, hours: number): void {
  const at = new Date(Date.now() - hours * HOUR);
  const about = { v: 1, env: 'dev', service: 'payments', instance, version: '1.0.0' };
  const record = { ...about, sequence: 0, pinned: false, agentVersion: '0.3.0', at: at.toISOString() };
  const put = (key: string, body: object) =>
    stage.cloud.putObject(stage.bucket, key, JSON.stringify(body), at);
  put(keys.instance('dev', 'payments', userIdOf(instance)), record);
  put(keys.heartbeat('dev', userIdOf(instance)), { v: 1 });
}

async function deployed(change: Parameters<typeof options>[0] = {}) {
  const clock = new HandClock();
  const session = await stage.open(clock);
  const exitCode = await clock.during(deploy(session, options(change)), 100);
  const [outcome] = settled(session.events);
  return { exitCode, outcome, events: session.events };
}
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value.version;
const forgotten = (events: readonly PublisherEvent[]) =>
  events.flatMap((event) => (event.type === 'forgotten' ? event.instances : []));

describe.each<[string, Partial<Parameters<typeof options>[0]>]>([
  ['all at once', {}],
  ['in waves', { strategy: ROLLING }],
])('%s', (_how, change) => {
  test('an instance that EC2 calls terminated is not waited for', async () => {
    await begin({ change: { ec2: true } });
    await stage.agent(A);
    await stage.agent(B);
    silent(GONE, 0.1);
    ec2.states.set(A, 'running').set(B, 'running').set(GONE, 'terminated');
    const { exitCode, outcome, events } = await deployed(change);
    expect([exitCode, outcome?.counts]).toEqual([0, { forgotten: 1, succeeded: 2 }]);
    expect(outcome?.text).toMatch(/2 of 2 succeeded, 1 not waited for \(i-0000000e terminated\)/);
    expect(forgotten(events)).toMatchObject([{ instance: GONE, why: 'terminated' }]);
    expect(await desired()).toBe('1.1.0');
    const newest = (await (await stage.open()).record.deployments.newest('payments'))?.value;
    expect(newest?.forgotten).toMatchObject([{ instance: GONE, why: 'terminated' }]);
  });

  test('an instance that was silent for an hour is shown and not waited for', async () => {
    await begin();
    for (const instance of [A, B, C]) await stage.agent(instance);
    silent(GONE, 1.1);
    const { exitCode, outcome, events } = await deployed(change);
    expect([exitCode, outcome?.counts]).toEqual([0, { forgotten: 1, succeeded: 3 }]);
    let text = '';
    const lines = createLines((line) => {
      text += line;
    });
    for (const event of events) lines.event(event);
    expect(text).toMatch(/payments i-0000000e not waited for: silent; last heard of at \d{4}-/);
  });

  test('an instance that was heard of within the hour is waited for', async () => {
    await begin();
    await stage.agent(A);
    silent(GONE, 0.9);
    const { exitCode, outcome } = await deployed(change);
    expect([exitCode, outcome?.outcome]).toEqual([3, 'timed-out']);
    expect(outcome?.forgotten).toBeUndefined();
  });

  test('half of a fleet that is cut off makes no success', async () => {
    await begin();
    await stage.agent(A);
    await stage.agent(B);
    silent(C, 2);
    silent(D, 2);
    const { exitCode, outcome, events } = await deployed(change);
    expect([exitCode, outcome?.outcome]).toEqual([3, 'timed-out']);
    expect(notes(events).join()).toMatch(
      /2 instances have been silent for a long time, more than forgetAtMost/,
    );
  });

  test('EC2 that refuses is named, and what it cannot say is waited for', async () => {
    await begin({ change: { ec2: true } });
    await stage.agent(A);
    silent(GONE, 0.2);
    ec2.fail({ status: 403, code: 'UnauthorizedOperation' });
    const { exitCode, events } = await deployed(change);
    expect(exitCode).toBe(3);
    const said = notes(events).filter((text) => text.includes('ec2:DescribeInstances'));
    expect(new Set(said).size).toBe(1);
  });
});

test('an instance that answers late counts, although it was silent for hours', async () => {
  await begin();
  for (const instance of [A, B, C]) await stage.agent(instance);
  let isUp = false;
  await stage.agent(D, async () => {
    await expect.poll(() => isUp).toBe(true);
    return ['accepted', 'succeeded'];
  });
  silent(D, 3);
  await stage.agent(GONE, async () => {
    await expect.poll(() => isUp).toBe(true);
    return ['accepted', 'succeeded'];
  });
  stage.cloud.putObject(stage.bucket, keys.heartbeat('dev', userIdOf(GONE)), '{}');
  const clock = new HandClock();
  const session = await stage.open(clock);
  const ending = clock.during(deploy(session, options()), 100);
  await expect.poll(() => forgotten(session.events).length).toBe(1);
  isUp = true;
  expect(await ending).toBe(0);
  expect(settled(session.events)[0]?.counts).toEqual({ succeeded: 5 });
});

test('a wave goes on without an instance that was terminated after it had prepared', async () => {
  await begin({ change: { ec2: true } });
  for (const instance of [A, B, C]) await stage.agent(instance);
  await stage.agent(D, () => {
    ec2.states.set(D, 'shutting-down');
    return ['draining'];
  });
  for (const instance of [A, B, C, D]) ec2.states.set(instance, 'running');
  const { exitCode, outcome } = await deployed({ strategy: ROLLING, timeoutMs: 600_000 });
  expect([exitCode, outcome?.counts]).toEqual([0, { forgotten: 1, succeeded: 3 }]);
});

test('all instances answer: neither EC2 nor heartbeats are asked for', async () => {
  await begin({ change: { ec2: true } });
  await stage.agent(A);
  expect((await deployed()).exitCode).toBe(0);
  expect(ec2.calls).toEqual([]);
  expect(stage.cloud.requests.filter(({ operation }) => operation === 'ListObjectsV2').length).toBeLessThan(
    8,
  );
});

test('an instance that --only names is waited for', async () => {
  await begin({ change: { ec2: true } });
  await stage.agent(A);
  silent(GONE, 5);
  ec2.states.set(GONE, 'terminated').set(A, 'running');
  const { exitCode } = await deployed({ only: [GONE] });
  expect(exitCode).toBe(3);
});

test('plan shows who would not be waited for', async () => {
  await begin({ change: { ec2: true } });
  await stage.agent(A);
  silent(GONE, 5);
  ec2.states.set(GONE, 'terminated').set(A, 'running');
  const { strategy, maxFailures, onFailure } = options();
  const clock = new HandClock();
  const asked = plan(await stage.open(clock), {
    ...{ service: 'payments', version: '1.1.0', strategy, maxFailures, onFailure },
  });
  expect((await clock.during(asked)).forgotten).toMatchObject([{ instance: GONE, why: 'terminated' }]);
});
