import { describe, expect, it } from 'vitest';
import { deploy } from '../../../../publisher/commands/deploy.ts';
import { decide } from '../../../../publisher/rollout/decisions.ts';
import { keys } from '../../../../shared/names.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import {
  deployed,
  deploysHeard,
  desired,
  lockOwner,
  openStageForEach,
  options,
  records,
  replyQueues,
  settled,
  stage,
} from '../../../support/publisher/deploy-fixture.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { HandClock } from '../../../support/publisher/stage.ts';

openStageForEach();

describe('a deployment that succeeds on all instances', () => {
  it('exits with 0, moves the desired state, announces converge, and leaves no lock and no queue', async () => {
    const agents = [await stage.agent('i-1'), await stage.agent('i-2', undefined, '1.0.0')];
    const session = await stage.open();
    expect(await deploy(session, options({ reason: 'because' }))).toBe(0);
    expect(settled(session.events)).toMatchObject([
      { outcome: 'succeeded', exitCode: 0, counts: { succeeded: 2 }, silent: [] },
    ]);
    expect(await desired()).toMatchObject({ version: '1.1.0', sequence: 1, action: 'deploy' });
    expect(await records()).toMatchObject([
      { status: 'succeeded', reason: 'because', expected: ['i-1', 'i-2'], previous: null, sequence: 1 },
    ]);
    expect(lockOwner()).toBeNull();
    expect(replyQueues()).toEqual([]);
    for (const agent of agents) {
      await expect.poll(() => agent.heard.map((said) => said.kind)).toEqual(['deploy', 'converge']);
    }
  });

  it('emits the states of each instance in order, each once', async () => {
    await stage.agent('i-1');
    const session = await stage.open();
    await deploy(session, options());
    const states = session.events.flatMap((event) => (event.type === 'report' ? [event.report.state] : []));
    expect(states).toEqual(['accepted', 'preparing', 'switching', 'checking', 'succeeded']);
    expect(session.events[0]).toMatchObject({ type: 'started', version: '1.1.0', previous: null });
  });

  it('includes an instance that the record did not know', async () => {
    await stage.agent('i-1');
    const late = await stage.agent('i-2');
    stage.cloud.putObject(stage.bucket, keys.instance('dev', 'payments', userIdOf('i-2')), '{}');
    const session = await stage.open();
    expect(await deploy(session, options())).toBe(0);
    expect(settled(session.events)).toMatchObject([{ counts: { succeeded: 2 } }]);
    expect(late.heard).not.toEqual([]);
  });

  it('reads reports from the record alone when the reply queue fails', async () => {
    const clock = new HandClock();
    await stage.agent('i-1');
    stage.cloud.fail(
      'unavailable',
      (asked) => asked.operation === 'ReceiveMessage' && !!asked.queue?.includes('reply'),
      1000,
    );
    const session = await stage.open(clock);
    expect(await clock.during(deploy(session, options()), 100)).toBe(0);
  });
});

it('a deployment whose reply queue cannot be created is recorded as not announced', async () => {
  await stage.agent('i-1');
  stage.cloud.fail('unavailable', ({ operation }) => operation === 'CreateQueue', 1000);
  const session = await stage.open();
  await expect(deploy(session, options({ timeoutMs: 2000 }))).rejects.toMatchObject({
    code: 'AWS_UNREACHABLE',
  });
  expect(await session.record.deployments.newest('payments')).toMatchObject({
    value: { status: 'failed', exitCode: 1, outcome: expect.stringMatching(/^not announced: cannot create/) },
  });
});

describe('a deployment that fails on an instance', () => {
  it('is rolled back by a deployment of its own where an instance has the new version, and exits with 1', async () => {
    const agents = await deployed(
      () => ['accepted', 'succeeded'],
      () => ['accepted', { state: 'rolled-back', code: 'CHECK_FAILED' }],
    );
    const session = await stage.open();
    expect(await deploy(session, options())).toBe(1);
    const [undo, failed] = await records();
    expect(failed).toMatchObject({
      version: '1.1.0',
      status: 'failed',
      exitCode: 1,
      rolledBackBy: undo?.deployment,
    });
    expect(undo).toMatchObject({ version: '1.0.0', action: 'rollback', status: 'succeeded', sequence: 3 });
    expect(undo?.rollbackOf).toBe(failed?.deployment);
    expect(settled(session.events).map((event) => [event.outcome, event.exitCode])).toEqual([
      ['failed', 1],
      ['succeeded', 0],
      ['failed', 1],
    ]);
    expect(settled(session.events)[0]?.text).toContain('CHECK_FAILED');
    expect(await desired()).toMatchObject({ version: '1.0.0', sequence: 3 });
    for (const agent of agents) {
      expect(deploysHeard(agent)).toEqual([
        ['1.0.0', 'deploy'],
        ['1.1.0', 'deploy'],
        ['1.0.0', 'rollback'],
      ]);
    }
    expect(lockOwner()).toBeNull();
    expect(replyQueues()).toEqual([]);
  });

  it('is not rolled back where every instance rolled back by itself', async () => {
    const [agent] = await deployed(() => ['accepted', { state: 'rolled-back', code: 'CHECK_FAILED' }]);
    expect(await deploy(await stage.open(), options())).toBe(1);
    expect(deploysHeard(agent as FakeAgent)).toHaveLength(2);
    expect(await desired()).toMatchObject({ version: '1.0.0', sequence: 1 });
  });

  it('is not rolled back with onFailure stop', async () => {
    await deployed(undefined, () => ['accepted', { state: 'failed', code: 'NO_SPACE' }]);
    expect(await deploy(await stage.open(), options({ onFailure: 'stop' }))).toBe(1);
    expect(await records()).toHaveLength(2);
    expect(await desired()).toMatchObject({ version: '1.0.0' });
  });

  it('is not rolled back at the first deploy, and says why', async () => {
    await stage.agent('i-1', () => ['accepted', { state: 'rolled-back', code: 'START_FAILED' }]);
    const session = await stage.open();
    expect(await deploy(session, options())).toBe(1);
    expect(settled(session.events)[0]?.text).toContain('no desired state is set');
    expect(await desired()).toBeUndefined();
  });
});

describe('silent instances', () => {
  it('are asked again, so that one that did not get the first announcement deploys like the others', async () => {
    const clock = new HandClock();
    await stage.agent('i-1');
    let announced = 0;
    const deaf = await stage.agent('i-deaf', () => {
      announced += 1;
      return announced === 1 ? [] : ['accepted', 'succeeded'];
    });
    const session = await stage.open(clock);
    expect(await clock.during(deploy(session, options()))).toBe(0);
    const targets = deaf.heard.flatMap((said) => (said.kind === 'deploy' ? [said.targets] : []));
    expect(targets).toEqual([undefined, ['i-deaf']]);
    expect(settled(session.events)).toMatchObject([{ outcome: 'succeeded', silent: [] }]);
  });

  it('are not asked again once somebody has cancelled the deployment', async () => {
    const clock = new HandClock();
    const deaf = await stage.agent('i-deaf', async ({ deployment }) => {
      const session = await stage.open();
      await decide(session, await session.record.deployments.read('payments', deployment), 'cancel');
      return [];
    });
    expect(await clock.during(deploy(await stage.open(clock), options()))).toBe(3);
    expect(deploysHeard(deaf)).toHaveLength(1);
  });

  it('are waited for 45 s, then the exit code is 3; the desired state is what the others run', async () => {
    const clock = new HandClock();
    await stage.agent('i-1');
    await stage.agent('i-dead', () => []);
    const session = await stage.open(clock);
    expect(await clock.during(deploy(session, options()))).toBe(3);
    expect(settled(session.events)).toMatchObject([{ outcome: 'timed-out', silent: ['i-dead'] }]);
    const [started] = session.events.filter(({ type }) => type === 'started');
    const tookMs = (settled(session.events)[0]?.at ?? 0) - (started?.at ?? 0);
    expect(tookMs).toBeGreaterThanOrEqual(45_000);
    expect(tookMs).toBeLessThan(80_000);
    expect(await desired()).toMatchObject({ version: '1.1.0' });
  });

  it('within allowMissing do not fail the deployment', async () => {
    const clock = new HandClock();
    await stage.agent('i-1');
    await stage.agent('i-dead', () => []);
    const session = await stage.open(clock);
    expect(await clock.during(deploy(session, options({ allowMissing: 1 })))).toBe(0);
  });

  it('that accepted and never end are waited for until the timeout; the desired state stays', async () => {
    const clock = new HandClock();
    await stage.agent('i-1', () => ['accepted', 'checking']);
    const session = await stage.open(clock);
    expect(await clock.during(deploy(session, options({ timeoutMs: 40_000 })))).toBe(3);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(40_000);
    expect(await desired()).toBeUndefined();
  });

  it('without any known instance: exit code 3, and the desired state is set for the first instance', async () => {
    const clock = new HandClock();
    const session = await stage.open(clock);
    expect(await clock.during(deploy(session, options()))).toBe(3);
    expect(settled(session.events)[0]?.text).toBe(
      'no instance answered; none is known to run this service; the desired state is 1.1.0',
    );
    expect(await desired()).toMatchObject({ version: '1.1.0' });
  });
});

it('a deploy whose publisher lost its lock does not move the desired state', async () => {
  const clock = new HandClock();
  const agent = await stage.agent('i-1', () => ['accepted']);
  const session = await stage.open(clock);
  const running = deploy(session, options());
  await expect.poll(() => agent.heard).toHaveLength(1);
  const key = keys.lock('dev', 'payments');
  const taken = {
    ...stage.json(key),
    nonce: 'x',
    sequence: 9,
    owner: { ...(lockOwner() as object), who: 'eve' },
  };
  stage.cloud.putObject(stage.bucket, key, JSON.stringify(taken));
  await expect(clock.during(running, 5000)).rejects.toMatchObject({
    code: 'FENCED',
    message: expect.stringContaining('eve'),
  });
  expect(await desired()).toBeUndefined();
  expect(lockOwner()).toMatchObject({ who: 'eve' });
});
