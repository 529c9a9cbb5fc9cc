import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { Report } from '../../../../shared/report.ts';
import { isEnding } from '../../../../shared/states.ts';
import { balanced, GROUP } from '../../../support/fleet/balanced.ts';
import { orderOf } from '../../../support/fleet/fake-ports.ts';
import { NOTHING, start, type World, worldOf } from '../../../support/fleet/instance-life.ts';

const inTwoMinutes = () => Date.now() + 120_000;
const spot = (action: string, at = inTwoMinutes()) =>
  JSON.stringify({ action, time: new Date(at).toISOString() });

async function living(world: World, options: Parameters<typeof start>[1] = {}) {
  const process = await start(world, options);
  onTestFinished(process.stop);
  return process;
}
const soon = (which: () => void) => vi.waitFor(which, { timeout: 5000, interval: 5 });
async function endingOf(world: World, deployment: string): Promise<Report | undefined> {
  const find = () =>
    world.model.delivered.find((one) => one.deployment === deployment && isEnding(one.state));
  await soon(() => expect(find()).toBeDefined());
  return find();
}

/** What happens when a port is called, besides. */
function onCall(world: World, act: (call: string) => Promise<void> | void): void {
  const inner = world.model.before;
  world.model.before = async (call) => {
    await inner(call);
    await act(call);
  };
}

describe('an instance that is to be terminated', () => {
  test('drains, runs its hooks, leaves, and then lets its group go on; it takes no deployment', async () => {
    const world = worldOf(balanced());
    const { worker, gate } = await living(world);
    world.readings = { ...NOTHING, spot: spot('terminate'), target: 'Terminated' };
    await soon(() => expect(world.disk).toMatchObject({ left: true, completed: true }));
    const { model } = world;
    expect(model.course).toEqual([
      'leave',
      'hook /drain',
      'hook /save',
      'hook /say',
      'leave',
      'complete end CONTINUE',
    ]);
    expect(gate()).toBe(false);
    expect(model.groups).toEqual(new Set());
    expect(model.running?.version).toBe('1.0.0');
    const order = orderOf('2.0.0');
    await worker.accept(order);
    expect(await endingOf(world, order.deployment)).toMatchObject({
      state: 'rejected',
      error: { code: 'INSTANCE_TERMINATING', message: expect.stringContaining('spot-terminate') },
    });
    expect((await worker.record(new AbortController().signal)).notice).toMatchObject({
      ...{ kind: 'spot-terminate', terminating: true, at: expect.any(String) },
    });
    expect(world.shown.at(-1)).toMatch(/^terminating: spot-terminate at /);
  });

  test('tells the hooks why, and how long they may take', async () => {
    const world = worldOf(balanced());
    const heard: Record<string, string>[] = [];
    world.ports = (ports) => ({
      hooks: {
        async run(hook, environment) {
          heard.push({ hook: hook.run[0] ?? '', timeout: String(hook.timeout), ...environment });
        },
      },
      clock: ports.clock,
    });
    await living(world);
    world.readings = { ...NOTHING, spot: spot('terminate') };
    await soon(() => expect(world.disk?.left).toBe(true));
    expect(heard.map(({ hook }) => hook)).toEqual(['/drain', '/save', '/say']);
    for (const { timeout, ...environment } of heard) {
      expect(environment).toMatchObject({
        ...{ TRIGGER_DEPLOY_ACTION: 'terminate', TRIGGER_DEPLOY_NOTICE: 'spot-terminate' },
        ...{ TRIGGER_DEPLOY_VERSION: '1.0.0', TRIGGER_DEPLOY_REMAINING_MS: timeout },
      });
    }
  });

  test('gives up a deployment that has not switched, stays drained, and says why', async () => {
    const world = worldOf(balanced());
    const reached = Promise.withResolvers<void>();
    const { worker } = await living(world);
    onCall(world, async (call) => {
      if (call !== 'hook /drain') return;
      reached.resolve();
      await soon(() => expect(worker.state().ending).toBeTruthy());
    });
    const order = orderOf('2.0.0');
    await worker.accept(order);
    await reached.promise;
    world.readings = { ...NOTHING, spot: spot('terminate') };
    expect(await endingOf(world, order.deployment)).toMatchObject({
      ...{ state: 'cancelled', changed: false, error: { code: 'INSTANCE_TERMINATING' } },
    });
    await soon(() => expect(world.disk?.left).toBe(true));
    expect(world.model.course).not.toContain('join');
    expect(world.model.current).toBe('1.0.0');
  }, 20_000);

  test('lets a deployment that has switched go on, without giving traffic back', async () => {
    const world = worldOf(balanced());
    const { worker } = await living(world);
    onCall(world, async (call) => {
      if (call === 'restart') world.readings = { ...NOTHING, target: 'Terminated' };
      if (call === 'probe') await soon(() => expect(worker.state().ending).toBeTruthy());
    });
    const order = orderOf('2.0.0');
    await worker.accept(order);
    expect(await endingOf(world, order.deployment)).toMatchObject({ state: 'succeeded' });
    await soon(() => expect(world.disk).toMatchObject({ left: true, completed: true }));
    expect(world.model.course).not.toContain('join');
    expect(world.model.course).not.toContain('hook /undrain');
  });

  test('rolls a deployment back that has no time left, and this is no failure of its version', async () => {
    const world = worldOf(balanced());
    world.model.unhealthy.add('2.0.0');
    const { worker } = await living(world);
    onCall(world, async (call) => {
      if (call === 'restart') world.readings = { ...NOTHING, spot: spot('terminate', Date.now()) };
      // The checks go on until they are ended.
      if (call === 'probe' && world.model.running?.version === '2.0.0') await sleep(20);
    });
    const order = orderOf('2.0.0');
    await worker.accept(order);
    expect(await endingOf(world, order.deployment)).toMatchObject({
      ...{ state: 'rolled-back', error: { code: 'INSTANCE_TERMINATING' } },
    });
    expect(worker.state().failures).toEqual([]);
    await soon(() => expect(world.disk?.left).toBe(true));
  });

  test('does all of it although hooks, the load balancer and Auto Scaling fail', async () => {
    const world = worldOf(balanced());
    world.model.failingHooks = new Set(['/drain', '/save']);
    world.model.failingTraffic = new Set(['groups', 'leave']);
    world.group = 'denies';
    await living(world);
    world.readings = { ...NOTHING, target: 'Terminated' };
    await soon(() => expect(world.disk?.left).toBe(true));
    expect(world.model.course).toContain('hook /say');
    expect(world.disk?.completed).toBe(false);
    // The permission is given: it is told then.
    world.group = 'waits';
    await soon(() => expect(world.disk?.completed).toBe(true));
  });
});

describe('an instance that comes back', () => {
  test('does not leave; after its next boot it serves again, and deploys', async () => {
    const world = worldOf(balanced());
    const { model } = world;
    const before = await start(world);
    world.readings = { ...NOTHING, spot: spot('stop') };
    await soon(() => expect(model.course).toContain('hook /say'));
    await before.stop();
    expect(model.course).not.toContain('leave end');
    expect(world.disk).toMatchObject({ left: false, leaving: false });
    expect(model.groups).toEqual(new Set());

    model.bootId = 'boot-2';
    world.readings = { ...NOTHING };
    model.course.length = 0;
    const { worker, gate } = await living(world);
    await soon(() => expect(model.groups).toEqual(new Set([GROUP])));
    expect(model.course).toEqual(['hook /undrain', 'join']);
    expect(gate()).toBe(true);
    const order = orderOf('2.0.0');
    await worker.accept(order);
    expect(await endingOf(world, order.deployment)).toMatchObject({ state: 'succeeded' });
  });

  test('because its notice is taken back serves again, and takes what it has refused', async () => {
    const world = worldOf(balanced());
    const { model } = world;
    const { worker, gate } = await living(world);
    world.readings = { ...NOTHING, spot: spot('terminate') };
    await soon(() => expect(world.disk?.left).toBe(true));
    const refused = orderOf('2.0.0');
    await worker.accept(refused);
    expect(await endingOf(world, refused.deployment)).toMatchObject({ state: 'rejected' });
    model.course.length = 0;
    world.readings = { ...NOTHING };
    await soon(() => expect(model.groups).toEqual(new Set([GROUP])));
    expect(gate()).toBe(true);
    expect(model.course).toEqual(['hook /undrain', 'join']);
    expect(world.disk).toMatchObject({ notice: null, left: false, completed: false });
    const want = { v: 1, env: 'dev', service: 'payments', version: '2.0.0', action: 'deploy' } as const;
    const { artifacts, sequence, deployment } = refused;
    const about = { changedAt: new Date().toISOString(), changedBy: 'ci', nonce: 'n', previous: null };
    world.desired = { ...want, ...about, artifacts, sequence, deployment } as unknown as typeof world.desired;
    await worker.converge({ read: async () => world.desired }, new AbortController().signal);
    await soon(() => expect(model.running?.version).toBe('2.0.0'));
  });

  test('after one read without the notice is not believed to stay', async () => {
    const world = worldOf(balanced());
    await living(world);
    world.readings = { ...NOTHING, spot: spot('stop') };
    await soon(() => expect(world.model.course).toContain('hook /say'));
    let reads = 0;
    const notice = world.readings;
    world.onRead = () => {
      reads += 1;
      world.readings = reads % 2 === 0 ? notice : { ...NOTHING };
    };
    await soon(() => expect(reads).toBeGreaterThan(10));
    expect(world.model.course).not.toContain('join');
  });
});

test('a process that is killed at any of its calls is continued to the same end', async () => {
  const done = (world: World) => world.disk?.left === true && world.disk.completed;
  const whole = worldOf(balanced());
  const first = await start(whole);
  whole.readings = { ...NOTHING, spot: spot('terminate'), target: 'Terminated' };
  await soon(() => expect(done(whole)).toBe(true));
  const calls = first.calls();
  await first.stop();
  expect(calls).toBeGreaterThan(15);
  for (let killAt = 2; killAt <= calls; killAt += 1) {
    const world = worldOf(balanced());
    world.readings = { ...NOTHING, spot: spot('terminate'), target: 'Terminated' };
    const killed = await start(world, { killAt });
    await Promise.race([killed.killed, soon(() => expect(done(world)).toBe(true))]);
    await killed.stop();
    const again = await start(world);
    await soon(() => expect(done(world), `killed at ${killAt}`).toBe(true));
    await again.stop();
    const { course } = world.model;
    const at = (what: string) => course.indexOf(what);
    const order = ['hook /drain', 'hook /save', 'hook /say', 'complete end CONTINUE'].map(at);
    expect(order, `killed at ${killAt}`).toEqual([...order].sort((a, b) => a - b));
    expect(course.lastIndexOf('leave'), `killed at ${killAt}`).toBeGreaterThan(at('hook /say'));
    // A hook runs again only if the agent was killed before it was recorded.
    for (const name of ['/drain', '/save', '/say']) {
      expect(course.filter((one) => one === `hook ${name}`).length).toBeLessThanOrEqual(2);
    }
  }
}, 60_000);
