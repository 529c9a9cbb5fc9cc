import { expect, test } from 'vitest';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  hook,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';
import { holdAt } from '../../../support/fleet/hold.ts';

/** Step 2: the hooks that take traffic away and give it back. drain-traffic.test.ts has the load balancer. */

test('the hooks run before the stop and after the checks, with the version in their environment', async () => {
  const model = modelRunning('1.0.0');
  const hooks = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
  const life = await live(model, serviceConfig({ hooks }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  await life.ending(order.deployment);
  expect(model.hooksRun).toEqual([
    { run: '/drain', version: '1.1.0' },
    { run: '/undrain', version: '1.1.0' },
  ]);
});

test('a beforeStop hook that fails ends the deployment as failed, and the afterStart hooks run', async () => {
  const model = modelRunning('1.0.0');
  model.failingHooks.add('/drain-2');
  const hooks = { beforeStop: [hook('/drain-1'), hook('/drain-2')], afterStart: [hook('/undrain')] };
  const life = await live(model, serviceConfig({ hooks }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'failed',
    error: { code: 'HOOK_FAILED' },
  });
  expect(model.hooksRun.map((one) => one.run)).toEqual(['/drain-1', '/drain-2', '/undrain']);
  expect(model.starts).toEqual([]);
});

test('a cancel before the switch ends the deployment as cancelled, and the afterStart hooks run', async () => {
  const model = modelRunning('1.0.0');
  const hooks = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
  const life = await live(model, serviceConfig({ hooks }));
  const order = orderOf('1.1.0');
  const { reached, goOn } = holdAt(model, 'hook /drain');
  await life.worker.accept(order);
  await reached;
  await life.worker.cancel(order.deployment);
  goOn();
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'cancelled', changed: false });
  expect(model.hooksRun.map((one) => one.run)).toEqual(['/undrain']);
  expect(model.current).toBe('1.0.0');
});

test('an agent killed while it restores traffic after a failure restores it again, and does not continue the deployment', async () => {
  const model = modelRunning('1.0.0');
  const hooks = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
  model.failingHooks.add('/drain');
  const ports = createFakePorts(model);
  // The journal takes nothing any more once the traffic is back: that is where the first life ends.
  const { append } = ports.journal;
  ports.journal.append = async (state) => {
    if (state.active === null && state.endings.length > 0) throw new Error('killed');
    await append(state);
  };
  const first = await live(model, serviceConfig({ hooks }), ports);
  const gaveBack = Promise.withResolvers<void>();
  model.before = (call) => {
    if (call === 'hook /undrain') gaveBack.resolve();
  };
  const order = orderOf('1.1.0');
  await first.worker.accept(order);
  await gaveBack.promise;
  await first.stop();

  model.failingHooks.clear();
  const second = await live(model, serviceConfig({ hooks }));
  expect(await second.ending(order.deployment)).toMatchObject({ state: 'failed' });
  await second.stop();
  expect(second.worker.state().endings).toHaveLength(1);
  expect(model).toMatchObject({ current: '1.0.0', starts: [] });
});
