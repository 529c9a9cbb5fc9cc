import { describe, expect, test } from 'vitest';
import { openWorker } from '../../../../agent/deploy/worker.ts';
import { silentLog } from '../../../../shared/log.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  hook,
  IDENTITY,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** When requests are kept away from an instance, and when they are let in again, whatever happens in between. */

const HOOKS = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
const GROUP = 'group-1';

function balanced(): Model {
  const model = modelRunning('1.0.0');
  model.groups = new Set([GROUP]);
  return model;
}

const drained = serviceConfig({ hooks: HOOKS });

async function deployed(model: Model, version: string, service = drained) {
  const { worker, ending } = await live(model, service);
  const order = orderOf(version);
  await worker.accept(order);
  return { worker, ending: await ending(order.deployment) };
}

/** A life that is over, as by SIGKILL, at the `call` that fits: nothing that it does comes to anything any more. */
async function killedAt(model: Model, call: string, version: string): Promise<string> {
  const ports = createFakePorts(model);
  const dead = Promise.withResolvers<void>();
  let isDead = false;
  model.before = async (now) => {
    if (now === call) {
      isDead = true;
      dead.resolve();
    }
    if (isDead) await new Promise(() => {});
  };
  const worker = await openWorker({ service: drained, ports, identity: IDENTITY, log: silentLog() });
  void worker.run(new AbortController().signal);
  const order = orderOf(version);
  await worker.accept(order);
  await dead.promise;
  model.before = () => undefined;
  return order.deployment;
}

test('an instance leaves its group, then the hooks run, then it stops; it is back after the check', async () => {
  const model = balanced();
  const { ending } = await deployed(model, '1.1.0');
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(model.course).toEqual(['leave', 'hook /drain', 'restart 1.1.0', 'hook /undrain', 'join', 'healthy']);
  expect(model.groups).toEqual(new Set([GROUP]));
});

test('an instance that somebody took out stays out', async () => {
  const model = balanced();
  model.groups?.clear();
  const { ending } = await deployed(model, '1.1.0');
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(model.groups?.size).toBe(0);
  expect(model.course).toEqual(['hook /drain', 'restart 1.1.0', 'hook /undrain']);
});

test('a first deploy takes nothing away, and waits until the load balancer is content', async () => {
  const model = balanced();
  model.current = null;
  model.running = null;
  const { ending } = await deployed(model, '1.0.0');
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(model.course).toEqual(['restart 1.0.0', 'hook /undrain', 'healthy']);
});

describe('a deployment that goes back', () => {
  test('before its traffic was given back is not drained a second time', async () => {
    const model = balanced();
    model.unhealthy.add('1.1.0');
    const { ending } = await deployed(model, '1.1.0');
    expect(ending).toMatchObject({ state: 'rolled-back' });
    expect(model.course).toEqual([
      'leave',
      'hook /drain',
      'restart 1.1.0',
      'restart 1.0.0',
      'hook /undrain',
      'join',
      'healthy',
    ]);
  });

  test('because the load balancer finds it unhealthy is drained again before the stop', async () => {
    const model = balanced();
    let asked = 0;
    model.before = (call) => {
      if (call !== 'traffic healthy') return;
      asked += 1;
      if (asked === 1) model.failingTraffic.add('healthy');
      else model.failingTraffic.clear();
    };
    const { ending } = await deployed(model, '1.1.0');
    expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'TRAFFIC_FAILED' } });
    expect(model.course.slice(3)).toEqual([
      'hook /undrain',
      'join',
      'healthy',
      'leave',
      'hook /drain',
      'restart 1.0.0',
      'hook /undrain',
      'join',
      'healthy',
    ]);
  });

  test('goes back also where it cannot be drained', async () => {
    const model = balanced();
    model.failingHooks.add('/undrain');
    model.before = (call) => {
      if (call !== 'hook /drain' || !model.hooksRun.some(({ run }) => run === '/undrain')) return;
      model.failingHooks.delete('/undrain');
      model.failingHooks.add('/drain');
    };
    const { ending } = await deployed(model, '1.1.0');
    expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'HOOK_FAILED' } });
    expect(model.running?.version).toBe('1.0.0');
    expect(model.groups).toEqual(new Set([GROUP]));
  });
});

describe('a deployment that cannot drain', () => {
  test('has failed, has stopped nothing, and is in traffic', async () => {
    const model = balanced();
    model.failingTraffic.add('leave');
    const { ending, worker } = await deployed(model, '1.1.0');
    expect(ending).toMatchObject({ state: 'failed', changed: false, error: { code: 'TRAFFIC_FAILED' } });
    expect(model.course).toEqual(['leave', 'hook /undrain', 'join']);
    expect(model.groups).toEqual(new Set([GROUP]));
    expect(worker.state().outOfTraffic).toBeNull();
  });

  test('and cannot be put back is put back later, by itself', async () => {
    const model = balanced();
    model.failingTraffic.add('leave').add('join');
    const { ending, worker } = await deployed(model, '1.1.0');
    expect(ending).toMatchObject({ state: 'failed' });
    expect(model.groups?.size).toBe(0);
    expect(worker.state().outOfTraffic).toEqual({ groups: [GROUP], well: true });
    model.failingTraffic.clear();
    await expect.poll(() => worker.state().outOfTraffic, { interval: 5 }).toBeNull();
    expect(model.groups).toEqual(new Set([GROUP]));
  });
});

test('what is broken stays out of traffic until a version is well there', async () => {
  const model = balanced();
  model.unhealthy.add('1.0.0').add('1.1.0');
  const { worker, ending } = await live(model, drained);
  const broken = orderOf('1.1.0');
  await worker.accept(broken);
  expect(await ending(broken.deployment)).toMatchObject({ state: 'broken' });
  expect(worker.state().outOfTraffic).toEqual({ groups: [GROUP], well: false });
  const mended = orderOf('1.2.0');
  await worker.accept(mended);
  expect(await ending(mended.deployment)).toMatchObject({ state: 'succeeded' });
  expect(model.groups).toEqual(new Set([GROUP]));
  expect(worker.state().outOfTraffic).toBeNull();
});

test.each([
  ['before it has left', 'traffic leave'],
  ['while the hooks drain', 'hook /drain'],
  ['at the switch', 'switchTo'],
  ['while it starts', 'restart'],
  ['while it is checked', 'probe'],
  ['while the hooks undrain', 'hook /undrain'],
  ['while it is put back', 'traffic join'],
  ['while the load balancer looks at it', 'traffic healthy'],
])('an agent killed %s brings the instance back into traffic, after the check', async (_title, call) => {
  const model = balanced();
  const deployment = await killedAt(model, call, '1.1.0');
  const { worker, ending } = await live(model, drained);
  expect(await ending(deployment)).toMatchObject({ state: 'succeeded' });
  expect(model.groups).toEqual(new Set([GROUP]));
  expect(worker.state().outOfTraffic).toBeNull();
  expect(model.course.slice(-1)).toEqual(['healthy']);
  expect(model.course.lastIndexOf('join')).toBeGreaterThan(model.course.lastIndexOf('restart 1.1.0'));
  expect(model.hooksRun.filter(({ run }) => run === '/drain')).toHaveLength(1);
});
