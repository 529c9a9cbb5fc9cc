import { expect, test } from 'vitest';
import { live } from '../../../support/fleet/agent-life.ts';
import { createModel, modelRunning, orderOf } from '../../../support/fleet/fake-ports.ts';
import { deployInPlace } from '../../../support/fleet/in-place.ts';

/** Step 1: the release is on the instance, and a version that already runs is only checked. */

test('a version that already runs and is healthy is checked, not restarted', async () => {
  const model = createModel();
  const life = await live(model);
  const first = orderOf('1.1.0');
  await life.worker.accept(first);
  await life.ending(first.deployment);
  const again = orderOf('1.1.0');
  await life.worker.accept(again);
  expect(await life.ending(again.deployment)).toMatchObject({ state: 'succeeded', changed: false });
  expect(model.starts).toEqual(['1.1.0']);
});

test('a version that already runs is not restarted after one failed probe', async () => {
  const model = modelRunning('1.1.0');
  let probes = 0;
  model.before = (call) => {
    if (call !== 'probe') return;
    probes += 1;
    if (probes === 1) model.unhealthy.add('1.1.0');
    else model.unhealthy.clear();
  };
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded', changed: false });
  expect(model.starts).toEqual([]);
});

test('a version that already runs but is unhealthy is restarted', async () => {
  const model = createModel();
  const life = await live(model);
  const first = orderOf('1.1.0');
  await life.worker.accept(first);
  await life.ending(first.deployment);
  model.running = null;
  const again = orderOf('1.1.0');
  await life.worker.accept(again);
  expect(await life.ending(again.deployment)).toMatchObject({ state: 'succeeded', changed: true });
  expect(model.starts).toEqual(['1.1.0', '1.1.0']);
  expect(model.downloads).toEqual(['1.1.0']);
});

test('a version that runs and is healthy but is not completely installed is installed again', async () => {
  const model = modelRunning('1.0');
  const { ending, changes } = await deployInPlace(model, '1.0', { whole: false });
  expect(ending).toMatchObject({ state: 'succeeded', changed: true });
  expect(changes).toEqual([{ direction: 'forward', attempt: 1, again: true }]);
});

test('a download that fails ends the deployment as failed, with nothing changed', async () => {
  const model = modelRunning('1.0.0');
  model.unavailable.add('1.1.0');
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'failed',
    changed: false,
    error: { code: 'DOWNLOAD_FAILED' },
  });
  expect(model).toMatchObject({ current: '1.0.0', starts: [], running: { invocation: 'first' } });
});

test('a retry of a version that failed installs it again', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.1.0');
  const life = await live(model);
  const first = orderOf('1.1.0');
  await life.worker.accept(first);
  await life.ending(first.deployment);
  model.unhealthy.clear();
  const second = orderOf('1.1.0');
  await life.worker.accept(second);
  expect(await life.ending(second.deployment)).toMatchObject({ state: 'succeeded', changed: true });
  expect(model.downloads).toEqual(['1.1.0', '1.1.0']);
});

test('a held deployment stays prepared until it is announced again', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const order = orderOf('1.1.0', { hold: true });
  await life.worker.accept(order);
  await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
  expect(model).toMatchObject({ current: '1.0.0', starts: [], downloads: ['1.1.0'] });
  await life.worker.proceed(order.deployment, 'reply-2');
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  expect(model.downloads).toEqual(['1.1.0']);
});

test('a prepared deployment can be cancelled', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const order = orderOf('1.1.0', { hold: true });
  await life.worker.accept(order);
  await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
  await life.worker.cancel(order.deployment);
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'cancelled' });
});

test('a prepared deployment is superseded by a newer one', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const held = orderOf('1.1.0', { hold: true });
  await life.worker.accept(held);
  await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
  const newer = orderOf('1.2.0');
  await life.worker.accept(newer);
  expect(await life.ending(held.deployment)).toMatchObject({ state: 'superseded' });
  expect(await life.ending(newer.deployment)).toMatchObject({ state: 'succeeded' });
});

test('a restart of the running version downloads nothing', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model);
  const order = orderOf('1.0.0', { action: 'restart' });
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded', previous: '1.0.0' });
  expect(model).toMatchObject({ starts: ['1.0.0'], downloads: [] });
});

test('a restart of a version that does not run fails, with nothing changed', async () => {
  const model = modelRunning('1.1.0');
  const life = await live(model);
  const order = orderOf('1.0.0', { action: 'restart' });
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'failed',
    step: 'prepare',
    error: { code: 'CONFLICT' },
  });
  expect(model).toMatchObject({ starts: [], running: { invocation: 'first' } });
});
