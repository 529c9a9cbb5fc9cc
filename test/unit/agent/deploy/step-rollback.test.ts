import { expect, test } from 'vitest';
import { live } from '../../../support/fleet/agent-life.ts';
import { balanced, deployBalanced, GROUP } from '../../../support/fleet/balanced.ts';
import { createModel, modelRunning, orderOf } from '../../../support/fleet/fake-ports.ts';
import { deployInPlace } from '../../../support/fleet/in-place.ts';

/** The rollback: the old release runs again and is healthy, or the service is broken. */

test('the rollback of a first deploy stops the unit and removes current', async () => {
  const model = createModel();
  model.unhealthy.add('1.0.0');
  const life = await live(model);
  const order = orderOf('1.0.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'rolled-back', previous: null });
  expect(model).toMatchObject({ current: null, running: null });
});

test('a rollback that fails ends as broken, once, with the reason', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.0.0').add('1.1.0');
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  expect(ending).toMatchObject({ state: 'broken', error: { code: 'CHECK_FAILED' } });
  expect(ending.error?.message).toMatch(/^the rollback failed: /);
  expect(model.starts).toEqual(['1.1.0', '1.0.0']);
  expect(life.worker.state().running).toBeNull();
});

test('a unit that a maintainer script started during the rollback is not started again', async () => {
  const model = modelRunning('1.0');
  model.unhealthy.add('1.1');
  const { ending, changes } = await deployInPlace(model, '1.1', { startedByScripts: ['1.0', '1.1'] });
  expect(ending.state).toBe('rolled-back');
  expect(model).toMatchObject({ starts: [], running: { version: '1.0' } });
  expect(changes.map(({ direction }) => direction)).toEqual(['forward', 'back']);
});

test('a rollback before traffic returned does not drain a second time', async () => {
  const model = balanced();
  model.unhealthy.add('1.1.0');
  const { ending } = await deployBalanced(model, '1.1.0');
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

test('a rollback after traffic returned drains again before the stop', async () => {
  const model = balanced();
  let asked = 0;
  model.before = (call) => {
    if (call !== 'traffic healthy') return;
    asked += 1;
    if (asked === 1) model.failingTraffic.add('healthy');
    else model.failingTraffic.clear();
  };
  const { ending } = await deployBalanced(model, '1.1.0');
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

test('a rollback that cannot drain still restores the old release', async () => {
  const model = balanced();
  model.failingHooks.add('/undrain');
  model.before = (call) => {
    if (call !== 'hook /drain' || !model.hooksRun.some(({ run }) => run === '/undrain')) return;
    model.failingHooks.delete('/undrain');
    model.failingHooks.add('/drain');
  };
  const { ending } = await deployBalanced(model, '1.1.0');
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'HOOK_FAILED' } });
  expect(model.running?.version).toBe('1.0.0');
  expect(model.groups).toEqual(new Set([GROUP]));
});
