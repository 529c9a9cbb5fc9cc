import { expect, test } from 'vitest';
import type { Desired } from '../../../../shared/desired.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import { artifactsOf, createModel, modelRunning, orderOf } from '../../../support/fleet/fake-ports.ts';
import { calm } from '../../../support/host/clock.ts';

function wanting(version: string, order = orderOf(version)): { read: () => Promise<Desired | undefined> } {
  const { sequence, deployment } = order;
  const about = { v: 1, env: 'dev', service: 'payments', action: 'deploy', changedBy: 'ci', nonce: 'n' };
  const at = { changedAt: new Date().toISOString(), artifacts: artifactsOf(version) };
  return { read: async () => ({ ...about, ...at, version, sequence, deployment }) as unknown as Desired };
}

test('a service without a desired state has nothing to run', async () => {
  const { worker } = await live(createModel());
  expect(await worker.convergence({ read: async () => undefined }, calm)).toEqual({ state: 'converged' });
});

test('a service is pending until the desired version runs and is healthy', async () => {
  const model = createModel();
  const { worker, ending } = await live(model);
  const order = orderOf('1.0.0');
  const desired = wanting('1.0.0', order);
  expect(await worker.convergence(desired, calm)).toMatchObject({ state: 'pending' });
  await worker.accept(order);
  await ending(order.deployment);
  expect(await worker.convergence(desired, calm)).toEqual({ state: 'converged' });
  model.unhealthy.add('1.0.0');
  expect(await worker.convergence(desired, calm)).toEqual({
    state: 'pending',
    why: 'the http check: http 500',
  });
  model.running = null;
  expect(await worker.convergence(desired, calm)).toMatchObject({
    state: 'pending',
    why: 'it is not active: inactive (dead)',
  });
});

test('a version that failed here has failed for good, whatever runs', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('2.0.0');
  const { worker, ending } = await live(model);
  const order = orderOf('2.0.0');
  await worker.accept(order);
  expect((await ending(order.deployment)).state).toBe('rolled-back');
  expect(await worker.convergence(wanting('2.0.0', order), calm)).toMatchObject({ state: 'failed' });
});
