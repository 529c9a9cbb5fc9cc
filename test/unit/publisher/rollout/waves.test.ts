import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { confirm } from '../../../../publisher/commands/confirm.ts';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { plan } from '../../../../publisher/commands/plan.ts';
import { resume } from '../../../../publisher/commands/resume.ts';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import type { Strategy } from '../../../../publisher/plan/strategy.ts';
import { keys } from '../../../../shared/names.ts';
import type { FakeAgent } from '../../../support/publisher/fake-agent.ts';
import { never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

const ROLLING: Strategy = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { count: 2 } },
  ...{ gate: 'none', autoConfirmMs: undefined, pauseBetweenMs: 0 },
};
const SWITCHES = ['switching', 'checking', 'succeeded'] as const;
const FAILS = [{ state: 'rolled-back', code: 'CHECK_FAILED' }] as const;

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  await stage.publish('payments', '1.0.0');
  await stage.publish('payments', '1.1.0');
});
afterEach(() => stage.close());

const options = (change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version: '1.1.0', wait: true, timeoutMs: 30_000, allowMissing: 0 },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: ROLLING, detach: never(), ...change },
});

/** Five instances that run 1.0.0, as the desired state says. */
async function fleet(scripts: Record<string, readonly (typeof FAILS)[number][]> = {}): Promise<FakeAgent[]> {
  const agents = await Promise.all(
    [1, 2, 3, 4, 5].map((n) =>
      stage.agent(
        `i-${n}`,
        (order) => (order.version === '1.1.0' && scripts[`i-${n}`]) || SWITCHES,
        '1.0.0',
        { zone: `zone-${n % 2}` },
      ),
    ),
  );
  const first = options({ version: '1.0.0', strategy: { name: 'all' } });
  expect(await deploy(await stage.open(), first)).toBe(0);
  return agents;
}

const waves = (events: readonly PublisherEvent[]) =>
  events.flatMap((event) => (event.type === 'wave' ? [event.instances.length] : []));
const desired = async () => (await (await stage.open()).record.desired.read('payments'))?.value.version;
const newest = async () => (await (await stage.open()).record.deployments.newest('payments'))?.value;
/** The kinds of announcements of this version to each agent. */
const announcedTo = (agents: readonly FakeAgent[], version = '1.1.0') =>
  agents.map((agent) =>
    agent.heard.flatMap((said) => {
      const meant = said.targets === undefined || said.targets.includes(agent.instance);
      return meant && 'version' in said && said.version === version ? [said.kind] : [];
    }),
  );
const until = async <T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> =>
  await expect
    .poll(look, { timeout: 10_000 })
    .toBeTruthy()
    .then(async () => (await look()) as T);

describe('a rolling deployment', () => {
  it('prepares all instances, switches the canary, then batches, and moves the desired state', async () => {
    const agents = await fleet();
    const session = await stage.open();
    expect(await deploy(session, options())).toBe(0);
    expect(waves(session.events)).toEqual([1, 2, 2]);
    expect(announcedTo(agents)).toEqual(Array.from({ length: 5 }, () => ['prepare', 'deploy']));
    expect(await desired()).toBe('1.1.0');
    const record = await newest();
    expect(record).toMatchObject({ status: 'succeeded', strategy: 'rolling', exitCode: 0 });
    expect(record?.rolling?.waves.every((wave) => wave.passedAt)).toBe(true);
  });

  it('whose canary fails stops, and all instances are on the old version', async () => {
    const canary = 'i-1';
    const agents = await fleet({ [canary]: FAILS.slice() });
    const session = await stage.open();
    expect(await deploy(session, options())).toBe(1);
    expect(waves(session.events)).toEqual([1]);
    expect(await desired()).toBe('1.0.0');
    const switched = announcedTo(agents).filter((kinds) => kinds.includes('deploy'));
    expect(switched).toHaveLength(1);
  });

  it('that fails in a later wave rolls the canary back, too', async () => {
    const agents = await fleet({ 'i-5': FAILS.slice() });
    const session = await stage.open();
    expect(await deploy(session, options())).toBe(1);
    const record = await newest();
    expect(record).toMatchObject({ action: 'rollback', version: '1.0.0', status: 'succeeded' });
    expect(
      agents.every((agent) => agent.heard.some((said) => 'version' in said && said.action === 'rollback')),
    ).toBe(true);
    expect(await desired()).toBe('1.0.0');
  });

  it('that one instance cannot prepare switches none, and cancels the prepare of the others', async () => {
    const agents = await fleet();
    agents.push(await stage.agent('i-6', () => SWITCHES, '1.0.0', { unprepared: true }));
    const session = await stage.open();
    expect(await deploy(session, options())).toBe(1);
    expect(announcedTo(agents).flat()).not.toContain('deploy');
    expect(agents[0]?.heard.at(-1)?.kind).toBe('cancel');
    expect((await newest())?.outcome).toContain('nothing was switched');
  });

  it('continues without instances that cannot prepare, within maxFailures', async () => {
    const agents = await fleet();
    agents.push(await stage.agent('i-6', () => SWITCHES, '1.0.0', { unprepared: true }));
    expect(await deploy(await stage.open(), options({ maxFailures: { percent: 20 } }))).toBe(1);
    expect(announcedTo(agents).filter((kinds) => kinds.includes('deploy'))).toHaveLength(5);
    expect(await desired()).toBe('1.1.0');
  });
});

describe('a gate after the canary', () => {
  const person: Strategy = { ...ROLLING, gate: 'person' };

  it('stays closed until a person confirms, from any machine', async () => {
    await fleet();
    const session = await stage.open();
    const deploying = deploy(session, options({ strategy: person }));
    const waiting = await until(() => session.events.find((event) => event.type === 'waiting'));
    expect(waiting).toMatchObject({
      after: 1,
      command: expect.stringContaining('trigger-deploy confirm 01'),
    });
    const id = (await newest())?.deployment ?? '';
    const answer = await confirm(await stage.open(), { deployment: id });
    expect(answer.text).toContain('continues it');
    expect(await deploying).toBe(0);
    expect((await newest())?.rolling?.confirmed?.by).toBe(answer.by);
  });

  it('that opened by a confirm from elsewhere ends the question at the terminal: a late answer changes nothing', async () => {
    await fleet();
    const session = await stage.open();
    let wavesAtItsEnd = 0;
    const ask = async (signal: AbortSignal) => {
      await once(signal, 'abort');
      wavesAtItsEnd = waves(session.events).length;
      throw signal.reason;
    };
    const deploying = deploy(session, options({ strategy: person, gate: ask }));
    await until(() => session.events.find((event) => event.type === 'waiting'));
    await confirm(await stage.open(), { deployment: (await newest())?.deployment ?? '' });
    expect(await deploying).toBe(0);
    expect(waves(session.events)).toEqual([1, 2, 2]);
    expect(wavesAtItsEnd).toBe(1);
  });

  it('opens by itself after autoConfirmMs, if the canary is still healthy', async () => {
    await fleet();
    const strategy: Strategy = { ...ROLLING, gate: 'time', autoConfirmMs: 200 };
    expect(await deploy(await stage.open(), options({ strategy }))).toBe(0);
    expect((await newest())?.rolling?.confirmed?.by).toBe('time');
  });

  it('does not open when the canary is gone, and rolls back what it can', async () => {
    const agents = await fleet();
    const session = await stage.open();
    const strategy: Strategy = { ...ROLLING, gate: 'time', autoConfirmMs: 3000 };
    const deploying = deploy(session, options({ strategy, timeoutMs: 8000 }));
    const wave = await until(
      () =>
        session.events.find((event) => event.type === 'waiting') &&
        session.events.find((event) => event.type === 'wave'),
    );
    const canary = wave.type === 'wave' ? wave.instances[0] : '';
    await agents[Number(canary?.slice(2)) - 1]?.leave();
    expect(await deploying).toBe(1);
    const [, failed] = await (await stage.open()).record.deployments.list('payments', 3);
    expect(failed?.outcome).toContain(
      'succeeded, then became unhealthy (no answer, not active, or another version)',
    );
  }, 60_000);

  it('is answered at the terminal: no rolls the canary back', async () => {
    await fleet();
    const ask = async () => false;
    expect(await deploy(await stage.open(), options({ strategy: person, gate: ask }))).toBe(1);
    const [rollback, cancelled] = await (await stage.open()).record.deployments.list('payments', 2);
    expect(cancelled).toMatchObject({ status: 'cancelled' });
    expect(rollback).toMatchObject({ action: 'rollback', version: '1.0.0', status: 'succeeded' });
  });
});

describe('a publisher that is detached', () => {
  it('at the gate is resumed by another, which does not switch the canary again', async () => {
    const agents = await fleet();
    const detach = new AbortController();
    const session = await stage.open();
    const strategy: Strategy = { ...ROLLING, gate: 'person' };
    const deploying = deploy(session, options({ strategy, detach: detach.signal }));
    await until(() => session.events.find((event) => event.type === 'waiting'));
    detach.abort();
    expect(await deploying).toBe(3);
    expect(notes(session.events).at(-1)).toContain('trigger-deploy resume');
    const id = (await newest())?.deployment ?? '';
    const answer = await confirm(await stage.open(), { deployment: id });
    expect(answer.text).toContain('resume');
    const other = await stage.open();
    expect(await resume(other, { deployment: id, detach: never() })).toBe(0);
    expect((await newest())?.policy.timeoutMs).toBe(30_000);
    expect(waves(other.events)).toEqual([2, 2]);
    expect(announcedTo(agents).map((kinds) => kinds.filter((kind) => kind === 'deploy'))).toEqual(
      Array.from({ length: 5 }, () => ['deploy']),
    );
    expect(await desired()).toBe('1.1.0');
  });

  it('is not resumed once a newer deployment has started', async () => {
    await fleet();
    const detach = new AbortController();
    const session = await stage.open();
    const deploying = deploy(
      session,
      options({ strategy: { ...ROLLING, gate: 'person' }, detach: detach.signal }),
    );
    await until(() => session.events.find((event) => event.type === 'waiting'));
    detach.abort();
    await deploying;
    const id = (await newest())?.deployment ?? '';
    await deploy(await stage.open(), options({ strategy: { name: 'all' } }));
    const again = resume(await stage.open(), { deployment: id, timeoutMs: 1000, detach: never() });
    await expect(again).rejects.toMatchObject({ code: 'NOT_UNDER_WAY' });
  });
});

describe('only some instances', () => {
  it('selected by name switch, and the desired state stays', async () => {
    const agents = await fleet();
    expect(await deploy(await stage.open(), options({ strategy: { name: 'all' }, only: ['i-3'] }))).toBe(0);
    expect(announcedTo(agents)).toEqual([[], [], ['deploy'], [], []]);
    expect(await desired()).toBe('1.0.0');
    expect((await newest())?.targets).toEqual(['i-3']);
  });

  it('selected by tag switch in waves: a pull request on its own instances', async () => {
    const agents = await fleet();
    agents.push(await stage.agent('i-7', () => SWITCHES, '1.0.0', { tags: { stack: 'pr-1' } }));
    expect(await deploy(await stage.open(), options({ where: { stack: 'pr-1' } }))).toBe(0);
    expect(await desired()).toBe('1.0.0');
    expect(agents.at(-1)?.heard.filter((said) => 'version' in said && said.version === '1.1.0')).toHaveLength(
      2,
    );
  });

  it('that are unknown are refused before anything is written', async () => {
    await fleet();
    await expect(deploy(await stage.open(), options({ only: ['i-99'] }))).rejects.toMatchObject({
      code: 'INSTANCE_NOT_FOUND',
    });
    await expect(deploy(await stage.open(), options({ where: { stack: 'no' } }))).rejects.toMatchObject({
      code: 'INSTANCE_NOT_FOUND',
    });
  });
});

it('a plan shows the waves with the version of each instance, and writes nothing', async () => {
  await fleet();
  const written = () =>
    stage.cloud.objects(stage.bucket, 'state/').filter((key) => !key.includes('/instances/'));
  const before = written();
  const lock = stage.json(keys.lock('dev', 'payments'));
  const answer = await plan(await stage.open(), options());
  expect(answer.waves.map((wave) => wave.instances.length)).toEqual([1, 2, 2]);
  expect(answer.waves.flatMap((wave) => wave.instances.map((one) => one.version))).toEqual(
    Array(5).fill('1.0.0'),
  );
  expect(written()).toEqual(before);
  expect(stage.json(keys.lock('dev', 'payments'))).toEqual(lock);
});
