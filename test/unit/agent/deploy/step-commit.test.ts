import { expect, test } from 'vitest';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import { balanced, deployBalanced, GROUP } from '../../../support/fleet/balanced.ts';
import {
  createFakePorts,
  createModel,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** Step 6: traffic returns, and the deployment succeeds. */

test('after a success, releases other than the last two good ones are pruned', async () => {
  const model = createModel();
  const life = await live(model);
  for (const version of ['1.0.0', '1.1.0', '1.2.0']) {
    const order = orderOf(version);
    await life.worker.accept(order);
    await life.ending(order.deployment);
    await life.reached(() => model.records.at(-1)?.version === version);
  }
  expect([...model.releases.keys()]).toEqual(['1.1.0', '1.2.0']);
});

test('a first deploy drains nothing, and waits until the load balancer reports the instance healthy', async () => {
  const model = balanced();
  model.current = null;
  model.running = null;
  const { ending } = await deployBalanced(model, '1.0.0');
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(model.course).toEqual(['restart 1.0.0', 'hook /undrain', 'healthy']);
});

test('the package type commits after the traffic has returned', async () => {
  const model = balanced();
  const ports = createFakePorts(model);
  ports.package.commit = async () => void model.course.push('commit');
  const life = await live(model, serviceConfig(), ports);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  expect(model.course).toEqual(['leave', 'restart 1.1.0', 'join', 'healthy', 'commit']);
});

test('a package type that cannot commit is rolled back', async () => {
  const model = modelRunning('1.0.0');
  const ports = createFakePorts(model);
  ports.package.commit = async () => {
    throw new TriggerDeployError('START_FAILED', 'the old version was put back');
  };
  const life = await live(model, serviceConfig(), ports);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'rolled-back',
    step: 'commit',
    error: { code: 'START_FAILED' },
  });
});

test('a version that already runs returns to the groups that an earlier deployment could not join', async () => {
  const model = balanced();
  model.failingTraffic.add('leave').add('join');
  const { worker } = await deployBalanced(model, '1.1.0');
  expect(worker.state().outOfTraffic).toEqual({ groups: [GROUP], well: true });
  const again = orderOf('1.0.0');
  await worker.accept(again);
  model.failingTraffic.clear();
  await expect.poll(() => worker.state().running?.version, { interval: 5 }).toBe('1.0.0');
  expect(model.groups).toEqual(new Set([GROUP]));
  expect(worker.state().outOfTraffic).toBeNull();
  expect(model.starts).toEqual([]);
});
