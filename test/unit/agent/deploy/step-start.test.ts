import { expect, test } from 'vitest';
import { live } from '../../../support/fleet/agent-life.ts';
import { modelRunning, orderOf } from '../../../support/fleet/fake-ports.ts';
import { deployInPlace } from '../../../support/fleet/in-place.ts';

/** Step 4: the unit runs the new release, started once. */

test('a start that fails is rolled back', async () => {
  const model = modelRunning('1.0.0');
  model.unstartable.add('1.1.0');
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'rolled-back',
    error: { code: 'START_FAILED' },
  });
  expect(model.running?.version).toBe('1.0.0');
});

test('a unit that a maintainer script started is not started again', async () => {
  const model = modelRunning('1.0');
  const { ending, changes } = await deployInPlace(model, '1.1', { startedByScripts: ['1.1'] });
  expect(ending.state).toBe('succeeded');
  expect(model.starts).toEqual([]);
  expect(changes).toEqual([{ direction: 'forward', attempt: 1, again: false }]);
});

test('a unit that no maintainer script started is started', async () => {
  const model = modelRunning('1.0');
  const { ending } = await deployInPlace(model, '1.1', {});
  expect(ending.state).toBe('succeeded');
  expect(model.starts).toEqual(['1.1']);
});
