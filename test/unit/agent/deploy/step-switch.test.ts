import { expect, test } from 'vitest';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import { hook, modelRunning, orderOf, serviceConfig } from '../../../support/fleet/fake-ports.ts';
import { holdAt } from '../../../support/fleet/hold.ts';
import { deployInPlace } from '../../../support/fleet/in-place.ts';

/** Step 3: the version changes. From here on a failure causes a rollback. */

test('a switch that fails before it changed anything ends as failed: traffic restored, no restart', async () => {
  const model = modelRunning('1.0.0');
  model.before = (call) => {
    if (call === 'switchTo') throw new TriggerDeployError('DPKG_LOCKED', 'held by process 7');
  };
  const hooks = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
  const life = await live(model, serviceConfig({ hooks }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'failed',
    error: { code: 'DPKG_LOCKED' },
  });
  expect(model.hooksRun.map((one) => one.run)).toEqual(['/drain', '/undrain']);
  expect(model).toMatchObject({ current: '1.0.0', starts: [], running: { invocation: 'first' } });
});

test('a switch that fails with the service stopped rolls back and starts the old release', async () => {
  const model = modelRunning('1.0');
  const failure = new TriggerDeployError('DPKG_FAILED', 'postinst exited with 1', { detail: 'its words' });
  const { ending } = await deployInPlace(model, '1.1', { failing: { '1.1': failure } });
  expect(ending).toMatchObject({
    state: 'rolled-back',
    error: { code: 'DPKG_FAILED', detail: expect.stringContaining('its words') },
  });
  expect(model).toMatchObject({ starts: ['1.0'], running: { version: '1.0' } });
});

test('a cancel after the switch has no effect', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const order = orderOf('1.1.0');
  const { reached, goOn } = holdAt(model, 'restart');
  await life.worker.accept(order);
  await reached;
  await life.worker.cancel(order.deployment);
  goOn();
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
});
