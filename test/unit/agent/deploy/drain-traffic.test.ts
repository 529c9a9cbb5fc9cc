import { describe, expect, test } from 'vitest';
import { openWorker } from '../../../../agent/deploy/worker.ts';
import { silentLog } from '../../../../shared/log.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import { balanced, DRAINED, deployBalanced, GROUP } from '../../../support/fleet/balanced.ts';
import { createFakePorts, IDENTITY, type Model, orderOf } from '../../../support/fleet/fake-ports.ts';

/** When an instance leaves its target groups, and when it returns to them. step-rollback.test.ts has the rollbacks. */

/** A life that ends as by SIGKILL at the port call `call`: nothing that it still does has any effect. */
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
  const worker = await openWorker({ service: DRAINED, ports, identity: IDENTITY, log: silentLog() });
  void worker.run(new AbortController().signal);
  const order = orderOf(version);
  await worker.accept(order);
  await dead.promise;
  model.before = () => undefined;
  return order.deployment;
}

test('an instance leaves its group, then the hooks run, then it stops; it rejoins after the checks', async () => {
  const model = balanced();
  const { ending } = await deployBalanced(model, '1.1.0');
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(model.course).toEqual(['leave', 'hook /drain', 'restart 1.1.0', 'hook /undrain', 'join', 'healthy']);
  expect(model.groups).toEqual(new Set([GROUP]));
});

test('an instance that an operator took out of its group stays out', async () => {
  const model = balanced();
  model.groups?.clear();
  const { ending } = await deployBalanced(model, '1.1.0');
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(model.groups?.size).toBe(0);
  expect(model.course).toEqual(['hook /drain', 'restart 1.1.0', 'hook /undrain']);
});

describe('a deployment that cannot drain', () => {
  test('fails, stops nothing, and is in its group again', async () => {
    const model = balanced();
    model.failingTraffic.add('leave');
    const { ending, worker } = await deployBalanced(model, '1.1.0');
    expect(ending).toMatchObject({ state: 'failed', changed: false, error: { code: 'TRAFFIC_FAILED' } });
    expect(model.course).toEqual(['leave', 'hook /undrain', 'join']);
    expect(model.groups).toEqual(new Set([GROUP]));
    expect(worker.state().outOfTraffic).toBeNull();
  });

  test('and cannot rejoin its group rejoins later, by itself', async () => {
    const model = balanced();
    model.failingTraffic.add('leave').add('join');
    const { ending, worker } = await deployBalanced(model, '1.1.0');
    expect(ending).toMatchObject({ state: 'failed' });
    expect(model.groups?.size).toBe(0);
    expect(worker.state().outOfTraffic).toEqual({ groups: [GROUP], well: true });
    model.failingTraffic.clear();
    await expect.poll(() => worker.state().outOfTraffic, { interval: 5 }).toBeNull();
    expect(model.groups).toEqual(new Set([GROUP]));
  });
});

test('a broken instance stays out of its group until a version is healthy', async () => {
  const model = balanced();
  model.unhealthy.add('1.0.0').add('1.1.0');
  const { worker, ending } = await live(model, DRAINED);
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
])('an agent killed %s rejoins the group after the checks', async (_title, call) => {
  const model = balanced();
  const deployment = await killedAt(model, call, '1.1.0');
  const { worker, ending } = await live(model, DRAINED);
  expect(await ending(deployment)).toMatchObject({ state: 'succeeded' });
  expect(model.groups).toEqual(new Set([GROUP]));
  expect(worker.state().outOfTraffic).toBeNull();
  expect(model.course.slice(-1)).toEqual(['healthy']);
  expect(model.course.lastIndexOf('join')).toBeGreaterThan(model.course.lastIndexOf('restart 1.1.0'));
  expect(model.hooksRun.filter(({ run }) => run === '/drain')).toHaveLength(1);
});
