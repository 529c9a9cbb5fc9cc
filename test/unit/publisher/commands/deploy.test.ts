import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import type { DeploymentRecord } from '../../../../publisher/record/deployment-schema.ts';
import { keys } from '../../../../shared/names.ts';
import type { FakeAgent, Script } from '../../../support/publisher/fake-agent.ts';
import { HandClock, never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  await stage.publish('payments', '1.0.0');
  await stage.publish('payments', '1.1.0');
});
afterEach(async () => await stage.close());

const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  service: 'payments',
  version: '1.1.0',
  wait: true,
  timeoutMs: 60_000,
  allowMissing: 0,
  maxFailures: 0,
  onFailure: 'rollback',
  strategy: { name: 'all' } as const,
  detach: never(),
  ...change,
});

const settled = (events: readonly PublisherEvent[]) =>
  events.flatMap((event) => (event.type === 'settled' ? [event] : []));
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value;
const records = async (): Promise<DeploymentRecord[]> =>
  await (await stage.open()).record.deployments.list('payments', 10);
const lockOwner = () => stage.json(keys.lock('dev', 'payments'))?.owner;
const replyQueues = () => stage.cloud.queues().filter((name) => name.includes('-reply-'));
const deploysHeard = (agent: FakeAgent) =>
  agent.heard.flatMap((said) => (said.kind === 'deploy' ? [[said.version, said.action]] : []));

/** 1.0.0 is what everyone runs and should run. */
async function deployed(...scripts: (Script | undefined)[]): Promise<FakeAgent[]> {
  const agents: FakeAgent[] = [];
  for (const [index, script] of scripts.entries()) {
    const either: Script = (order) =>
      order.version === '1.0.0' || script === undefined ? ['accepted', 'succeeded'] : script(order);
    agents.push(await stage.agent(`i-${index + 1}`, either));
  }
  expect(await deploy(await stage.open(), options({ version: '1.0.0' }))).toBe(0);
  return agents;
}

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
    stage.cloud.putObject(stage.bucket, keys.instance('dev', 'payments', 'i-2'), '{}');
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
  it('are waited for 15 s, then the exit code is 3; the desired state is what the others run', async () => {
    const clock = new HandClock();
    await stage.agent('i-1');
    await stage.agent('i-dead', () => []);
    const session = await stage.open(clock);
    expect(await clock.during(deploy(session, options()))).toBe(3);
    expect(settled(session.events)).toMatchObject([{ outcome: 'timed-out', silent: ['i-dead'] }]);
    const [started] = session.events.filter(({ type }) => type === 'started');
    const tookMs = (settled(session.events)[0]?.at ?? 0) - (started?.at ?? 0);
    expect(tookMs).toBeGreaterThanOrEqual(15_000);
    expect(tookMs).toBeLessThan(60_000);
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

describe('a publisher that does not wait', () => {
  it('with --no-wait writes the desired state first, needs no reply, and names the watch command', async () => {
    const agent = await stage.agent('i-1');
    const session = await stage.open();
    expect(await deploy(session, options({ wait: false }))).toBe(0);
    await expect.poll(() => agent.heard).toMatchObject([{ kind: 'deploy', version: '1.1.0' }]);
    expect(agent.heard[0]).not.toHaveProperty('replyTo');
    expect(await desired()).toMatchObject({ version: '1.1.0', sequence: 1 });
    const [record] = await records();
    expect(notes(session.events).join()).toContain(`trigger-deploy watch ${record?.deployment} --env dev`);
    expect(lockOwner()).toBeNull();
  });

  it('detached by Ctrl-C leaves the deployment running and exits with 3', async () => {
    const detach = new AbortController();
    await stage.agent('i-1', () => {
      detach.abort();
      return ['accepted'];
    });
    const session = await stage.open();
    expect(await deploy(session, options({ detach: detach.signal }))).toBe(3);
    expect(await records()).toMatchObject([{ status: 'announced' }]);
    expect(notes(session.events).join()).toContain('trigger-deploy watch');
    expect(lockOwner()).toBeNull();
    expect(replyQueues()).toEqual([]);
  });

  it('is settled by the next deploy, so that a rollback returns to its version', async () => {
    await stage.publish('payments', '1.2.0');
    const agent = await stage.agent('i-1');
    const other = await stage.agent('i-2', (order) =>
      order.version === '1.2.0' ? ['accepted', 'rolled-back'] : ['accepted', 'succeeded'],
    );
    const detach = new AbortController();
    stage.cloud.until((asked) => asked.operation === 'Publish').then(() => detach.abort());
    expect(await deploy(await stage.open(), options({ detach: detach.signal }))).toBe(3);
    for (const one of [agent, other]) await expect.poll(() => one.heard).toHaveLength(1);
    expect(await desired()).toBeUndefined();
    expect(await deploy(await stage.open(), options({ version: '1.2.0' }))).toBe(1);
    expect(await desired()).toMatchObject({ version: '1.1.0', action: 'rollback' });
  });
});

describe('refused before anything is locked or announced', () => {
  it('a version that does not exist, naming the newest versions', async () => {
    const refused = deploy(await stage.open(), options({ version: '9.9.9' }));
    await expect(refused).rejects.toMatchObject({
      code: 'VERSION_NOT_FOUND',
      hint: expect.stringMatching(/1\.1\.0.*1\.0\.0|1\.0\.0.*1\.1\.0/),
    });
    expect(stage.cloud.objects(stage.bucket, 'state/')).toEqual([]);
  });

  it('a service without pushed versions', async () => {
    const refused = deploy(await stage.open(), options({ service: 'paymnets' }));
    await expect(refused).rejects.toMatchObject({ code: 'SERVICE_NOT_FOUND' });
  });

  it('a manifest signed with an unknown key', async () => {
    const other = await openStage();
    try {
      await other.publish('payments', '6.6.6');
      const forged = other.cloud.object(other.bucket, keys.manifest('payments', '6.6.6'))?.body ?? '';
      stage.cloud.putObject(stage.bucket, keys.manifest('payments', '6.6.6'), forged);
    } finally {
      await other.close();
    }
    Object.assign(process.env, stage.cloud.env());
    const refused = deploy(await stage.open(), options({ version: '6.6.6' }));
    await expect(refused).rejects.toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  it('a manifest copied from another version', async () => {
    const copied = stage.cloud.object(stage.bucket, keys.manifest('payments', '1.0.0'))?.body ?? '';
    stage.cloud.putObject(stage.bucket, keys.manifest('payments', '3.0.0'), copied);
    const refused = deploy(await stage.open(), options({ version: '3.0.0' }));
    await expect(refused).rejects.toMatchObject({ code: 'DOCUMENT_INVALID' });
  });
});

it('an announcement that AWS refuses leaves a record that says so, a free lock and no queue', async () => {
  const session = await stage.open();
  const env = { ...session.env, topic: session.env.topic.replace('-dev', '-gone') };
  await expect(deploy({ ...session, env }, options())).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
  expect(await records()).toMatchObject([
    { status: 'failed', outcome: expect.stringContaining('not announced') },
  ]);
  expect(lockOwner()).toBeNull();
  expect(replyQueues()).toEqual([]);
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
