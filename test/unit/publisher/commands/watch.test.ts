import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { resume } from '../../../../publisher/commands/resume.ts';
import { watch } from '../../../../publisher/commands/watch.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { STALE_MS } from '../../../../publisher/record/lock-document.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import type { State } from '../../../../shared/states.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { HandClock, never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
/** What the agents say to 1.1.0; to all else they say `succeeded`. */
let finish: PromiseWithResolvers<State>;
let agents: FakeAgent[];
beforeEach(async () => {
  stage = await openStage();
  finish = Promise.withResolvers();
  agents = [];
  for (const instance of ['i-1', 'i-2']) {
    const agent: FakeAgent = await stage.agent(instance, async (order) => {
      if (order.version !== '1.1.0') return ['accepted', 'succeeded'];
      agent.say(order, 'accepted', 0);
      const ending = await finish.promise;
      agent.say(order, instance === 'i-1' ? ending : 'succeeded', 1);
      return [];
    });
    agents.push(agent);
  }
  await stage.publish('payments', '1.0.0');
  await stage.publish('payments', '1.1.0');
  expect(await deploy(await stage.open(), options({ version: '1.0.0' }))).toBe(0);
});
afterEach(async () => await stage.close());

const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.1.0', wait: true, timeoutMs: 60_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback' as const, strategy: { name: 'all' } as const, detach: never() },
  ...change,
});
const watching = (deployment: string, timeoutMs = 60_000) => ({ deployment, timeoutMs, detach: never() });
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value;
const newest = async () =>
  (await (await stage.open()).record.deployments.newest('payments'))?.value as DeploymentRecord;
/** 1.1.0 was announced, and all agents received it. */
const reached = () =>
  expect
    .poll(
      () =>
        agents.every((agent) => agent.heard.some((said) => 'version' in said && said.version === '1.1.0')),
      {
        timeout: 20_000,
      },
    )
    .toBe(true);
const lockOwner = () => stage.json(keys.lock('dev', 'payments'))?.owner;

/** 1.1.0 is announced and its publisher has detached. */
async function detached(): Promise<string> {
  const detach = new AbortController();
  const running = deploy(await stage.open(), options({ detach: detach.signal }));
  const reports = () => stage.cloud.objects(stage.bucket).filter((key) => key.includes('/reports/'));
  await expect.poll(reports).toHaveLength(4);
  detach.abort();
  expect(await running).toBe(3);
  return (await newest()).deployment;
}

describe('a deployment that was not settled', () => {
  it('is followed to its end and settled: the desired state moves', async () => {
    const id = await detached();
    const clock = new HandClock();
    const session = await stage.open(clock);
    const following = watch(session, watching(id));
    finish.resolve('succeeded');
    expect(await clock.during(following, 100)).toBe(0);
    expect(session.events[0]).toMatchObject({ type: 'started', deployment: id, version: '1.1.0' });
    expect(session.events.at(-1)).toMatchObject({ type: 'settled', outcome: 'succeeded' });
    expect(await desired()).toMatchObject({ version: '1.1.0', sequence: 2, deployment: id });
    expect(await newest()).toMatchObject({ status: 'succeeded', counts: { succeeded: 2 } });
    expect(lockOwner()).toBeNull();
  });

  it('is rolled back where it failed', async () => {
    const id = await detached();
    finish.resolve('rolled-back');
    const clock = new HandClock();
    expect(await clock.during(watch(await stage.open(clock), watching(id)), 100)).toBe(1);
    expect(await newest()).toMatchObject({ action: 'rollback', version: '1.0.0', rollbackOf: id });
    expect(await desired()).toMatchObject({ version: '1.0.0', action: 'rollback' });
    for (const agent of agents) {
      expect(agent.heard.filter((said) => said.kind === 'deploy').at(-1)).toMatchObject({
        action: 'rollback',
      });
    }
  });

  it('is timed out while an instance has not ended, and can succeed later', async () => {
    const id = await detached();
    const clock = new HandClock();
    expect(await clock.during(watch(await stage.open(clock), watching(id, 20_000)))).toBe(3);
    expect(await newest()).toMatchObject({ status: 'timed-out' });
    expect(await desired()).toMatchObject({ version: '1.0.0' });
    finish.resolve('succeeded');
    expect(await clock.during(watch(await stage.open(clock), watching(id)), 100)).toBe(0);
    expect(await newest()).toMatchObject({ status: 'succeeded' });
    expect(await desired()).toMatchObject({ version: '1.1.0' });
  });

  it('whose publisher was killed is settled after 60 s without a heartbeat of its lock', async () => {
    const id = await detached();
    const key = keys.lock('dev', 'payments');
    const owner = {
      ...{ id: newUlid(0), who: 'killed', host: 'ci', pid: 1, command: 'deploy', deployment: id },
      ...{ since: new Date(0).toISOString(), beat: new Date(0).toISOString() },
    };
    stage.cloud.putObject(stage.bucket, key, JSON.stringify({ ...stage.json(key), nonce: 'k', owner }));
    finish.resolve('succeeded');
    const clock = new HandClock();
    expect(await clock.during(watch(await stage.open(clock), watching(id, 10 * STALE_MS)))).toBe(0);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(STALE_MS);
    expect(await desired()).toMatchObject({ version: '1.1.0' });
  });

  it('is left to its publisher while that runs', async () => {
    const running = deploy(await stage.open(), options());
    await expect.poll(async () => (await newest()).version).toBe('1.1.0');
    const clock = new HandClock();
    const session = await stage.open(clock);
    const following = watch(session, watching((await newest()).deployment));
    finish.resolve('succeeded');
    expect(await running).toBe(0);
    expect(await clock.during(following, 100)).toBe(0);
    expect(session.events.at(-1)).toMatchObject({ type: 'settled', outcome: 'succeeded' });
    // Each taking of the lock is a sequence of its own: there were the two deployments'.
    expect(stage.json(keys.lock('dev', 'payments'))).toMatchObject({ sequence: 2, owner: null });
  });

  it('does not move the desired state when a newer deployment has started', async () => {
    const id = await detached();
    await stage.publish('payments', '1.2.0');
    expect(await deploy(await stage.open(), options({ version: '1.2.0' }))).toBe(0);
    finish.resolve('succeeded');
    const clock = new HandClock();
    const session = await stage.open(clock);
    expect(await clock.during(watch(session, watching(id)), 100)).toBe(0);
    expect(session.events.at(-1)).toMatchObject({ text: expect.stringContaining('a newer deployment') });
    expect(await desired()).toMatchObject({ version: '1.2.0' });
  });

  it('of --no-wait that failed on all instances gets its desired state rolled back', async () => {
    for (const agent of agents.slice(1)) await agent.leave();
    stage.cloud.putObject(stage.bucket, keys.instance('dev', 'payments', userIdOf('i-2')), '{}');
    expect(await deploy(await stage.open(), options({ wait: false }))).toBe(0);
    expect(await desired()).toMatchObject({ version: '1.1.0' });
    finish.resolve('rolled-back');
    const clock = new HandClock();
    const code = await clock.during(
      watch(await stage.open(clock), watching((await newest()).deployment)),
      100,
    );
    expect(code).toBe(1);
    expect(await desired()).toMatchObject({ version: '1.0.0', action: 'rollback' });
  });
});

it('a deployment that has ended is shown, with its exit code', async () => {
  finish.resolve('rolled-back');
  expect(await deploy(await stage.open(), options())).toBe(1);
  const records = await (await stage.open()).record.deployments.list('payments', 10);
  const failed = records.find((one) => one.status === 'failed') as DeploymentRecord;
  const session = await stage.open();
  expect(await watch(session, watching(failed.deployment))).toBe(1);
  expect(session.events.map((event) => event.type)).toEqual(['started', 'report', 'report', 'settled']);
});

it('a rollback that its publisher died before is started by the watch', async () => {
  finish.resolve('rolled-back');
  expect(await deploy(await stage.open(), options({ onFailure: 'stop' }))).toBe(1);
  const session = await stage.open();
  const stored = await session.record.deployments.newest('payments');
  if (stored === undefined) throw new Error('no deployment');
  await session.record.deployments.update(stored, { rollBackTo: '1.0.0' });
  expect(await watch(session, watching(stored.value.deployment))).toBe(1);
  expect(await newest()).toMatchObject({ action: 'rollback', status: 'succeeded' });
  expect(await desired()).toMatchObject({ version: '1.0.0', sequence: (await newest()).sequence });
});

describe.each([
  { how: 'possibly', go: watch, recorded: {} },
  { how: 'possibly', go: resume, recorded: {} },
  {
    how: 'certainly',
    go: watch,
    recorded: { status: 'failed', exitCode: 1, outcome: 'not announced: denied' },
  },
] as const)('a rollback that was $how not announced', ({ go, recorded }) => {
  it(`is announced again by ${go.name}, and settled`, async () => {
    const detach = new AbortController();
    const left = await stage.open();
    const running = deploy(left, options({ detach: detach.signal }));
    await reached();
    let isOut = true;
    stage.cloud.fail('unavailable', (asked) => isOut && asked.operation === 'Publish', 1000);
    finish.resolve('rolled-back');
    await expect
      .poll(() => notes(left.events).some((text) => text.includes('retrying for up to')))
      .toBe(true);
    detach.abort(new TriggerDeployError('INTERRUPTED', 'interrupted'));
    expect(await running).toBe(1);
    expect(notes(left.events).join('\n')).toMatch(
      /the announcement may have been sent: trigger-deploy watch/,
    );
    isOut = false;
    const session = await stage.open();
    const rollback = await session.record.deployments.newest('payments');
    if (rollback?.value.rollbackOf === undefined) throw new Error('no rollback');
    await session.record.deployments.update(rollback, recorded);
    expect(await go(session, watching(rollback.value.rollbackOf))).toBe(1);
    const { deployment, sequence } = rollback.value;
    expect(await newest()).toMatchObject({
      deployment,
      sequence,
      status: 'succeeded',
      counts: { succeeded: 2 },
    });
    expect(await desired()).toMatchObject({ version: '1.0.0', deployment });
    for (const agent of agents) expect(agent.heard.at(-1)).toMatchObject({ deployment, sequence });
    expect(lockOwner()).toBeNull();
    await expect(resume(session, watching(rollback.value.rollbackOf))).rejects.toMatchObject({
      code: 'NOT_UNDER_WAY',
    });
  }, 60_000);
});

it('a rollback whose publisher runs is waited for, and not announced again', async () => {
  const running = deploy(await stage.open(), options());
  await reached();
  const failed = (await newest()).deployment;
  // It takes its time over the announcement.
  stage.cloud.fail('unavailable', (asked) => asked.operation === 'Publish', 2);
  finish.resolve('rolled-back');
  await expect.poll(async () => (await newest()).action, { timeout: 20_000 }).toBe('rollback');
  const session = await stage.open();
  expect(await watch(session, watching(failed))).toBe(1);
  expect(await newest()).toMatchObject({ action: 'rollback', status: 'succeeded' });
  expect(await running).toBe(1);
  for (const agent of agents) expect(agent.heard.filter((said) => said.kind === 'deploy')).toHaveLength(3);
  expect(session.events.filter((event) => event.type === 'settled')).toHaveLength(1);
}, 60_000);

it('Ctrl-C ends only the watch', async () => {
  const id = await detached();
  const detach = new AbortController();
  const session = await stage.open();
  const following = watch(session, { ...watching(id), detach: detach.signal });
  await expect.poll(() => session.events.length).toBeGreaterThan(1);
  detach.abort();
  expect(await following).toBe(3);
  expect(notes(session.events).join()).toContain(`trigger-deploy watch ${id}`);
  expect(await newest()).toMatchObject({ status: 'announced' });
});

it('a deployment that does not exist is an error with its id', async () => {
  const id = newUlid(Date.now());
  await expect(watch(await stage.open(), watching(id))).rejects.toMatchObject({
    code: 'DEPLOYMENT_NOT_FOUND',
    message: `there is no deployment ${id} in dev`,
  });
});
