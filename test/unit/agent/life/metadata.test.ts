import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { isEnding } from '../../../../shared/states.ts';
import { balanced, GROUP } from '../../../support/fleet/balanced.ts';
import { orderOf } from '../../../support/fleet/fake-ports.ts';
import { NOTHING, start, type World, worldOf } from '../../../support/fleet/instance-life.ts';

/** What the metadata says, and what it means over time. */

async function living(world: World) {
  const process = await start(world);
  onTestFinished(process.stop);
  return process;
}
const soon = (which: () => void) => vi.waitFor(which, { timeout: 5000, interval: 5 });

describe('the metadata', () => {
  test('that cannot be read changes nothing, and what an earlier process began goes on', async () => {
    const world = worldOf(balanced());
    const before = await start(world, { killAt: 12 });
    world.readings = { ...NOTHING, target: 'Terminated' };
    await before.killed;
    await before.stop();
    world.onRead = () => {
      throw new Error('the metadata is down');
    };
    await living(world);
    await soon(() => expect(world.disk).toMatchObject({ left: true, completed: true }));
  });

  test.each([
    ['target', '<html>Please log in</html>'],
    ['target', 'Terminating'],
    ['spot', ''],
    ['spot', '{"action":"terminate","time":"soon"}'],
  ])('whose %s becomes %j does not take a notice back', async (which, text) => {
    const world = worldOf(balanced());
    await living(world);
    world.readings = { ...NOTHING, target: 'Terminated' };
    await soon(() => expect(world.disk?.completed).toBe(true));
    let reads = 0;
    world.onRead = () => {
      reads += 1;
    };
    world.readings = { ...NOTHING, [which]: text };
    await soon(() => expect(reads).toBeGreaterThan(6));
    expect(world.disk).toMatchObject({ notice: { kind: 'scale-in' }, left: true });
    expect(world.model.course).not.toContain('join');
    world.readings = { ...NOTHING };
    await soon(() => expect(world.model.course).toContain('join'));
  });

  test('with a rebalance recommendation is shown; deployments go on', async () => {
    const world = worldOf(balanced());
    const { worker } = await living(world);
    world.readings = { ...NOTHING, rebalance: '{"noticeTime":"2026-01-01T00:00:00Z"}' };
    await soon(() => expect(world.model.records.at(-1)?.notice).toMatchObject({ kind: 'rebalance' }));
    expect(world.shown.at(-1)).toBe('notice: rebalance');
    const order = orderOf('2.0.0');
    await worker.accept(order);
    const ending = () =>
      world.model.delivered.find((one) => one.deployment === order.deployment && isEnding(one.state));
    await soon(() => expect(ending()).toMatchObject({ state: 'succeeded' }));
  });
});

describe('the warm pool', () => {
  test('an instance that moves there is drained, stays in its environment, and completes its hook', async () => {
    const world = worldOf(balanced());
    await living(world);
    world.readings = { ...NOTHING, target: 'InService' };
    await soon(() => expect(world.disk?.wasInService).toBe(true));
    world.readings = { ...NOTHING, target: 'Warmed:Hibernated' };
    await soon(() => expect(world.disk?.completed).toBe(true));
    expect(world.model.course.filter((one) => one === 'leave')).toHaveLength(1); // the target group
    expect(world.disk?.left).toBe(false);
    // Hibernated and woken up: the same boot.
    world.readings = { ...NOTHING, target: 'InService' };
    await soon(() => expect(world.model.groups).toEqual(new Set([GROUP])));
    expect(world.disk).toMatchObject({ pooled: false, launchingSince: expect.any(Number) });
  });

  test('an instance that is terminated there has its time anew, and uploads its logs once more', async () => {
    const world = worldOf(balanced());
    const uploads: number[] = [];
    world.ports = (ports) => ({
      logs: { shipLogs: async (_signal, end) => void uploads.push(end - ports.clock.monotonic()) },
    });
    await living(world);
    world.readings = { ...NOTHING, target: 'InService' };
    await soon(() => expect(world.disk?.wasInService).toBe(true));
    world.readings = { ...NOTHING, target: 'Warmed:Running' };
    await soon(() => expect(world.disk?.completed).toBe(true));
    const since = world.disk?.notice?.since ?? 0;
    world.readings = { ...NOTHING, target: 'Warmed:Terminated' };
    await soon(() => expect(world.disk).toMatchObject({ left: true, completed: true }));
    expect(world.disk?.notice?.since).toBeGreaterThan(since);
    expect(uploads).toHaveLength(2);
  });
});
