import { expect, test } from 'vitest';
import { live } from '../../../support/fleet/agent-life.ts';
import { modelRunning, orderOf, serviceConfig } from '../../../support/fleet/fake-ports.ts';

/** Step 5: the health checks and the watch period. */

test('a failed check rolls back: the old release runs again and is healthy, with no download', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.1.0');
  model.log = 'connection pool is empty';
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  expect(ending).toMatchObject({
    state: 'rolled-back',
    previous: '1.0.0',
    step: 'check',
    error: { code: 'CHECK_FAILED', detail: 'connection pool is empty' },
  });
  expect(ending.error?.message).toContain('http 500');
  expect(model).toMatchObject({ current: '1.0.0', running: { version: '1.0.0' }, downloads: ['1.1.0'] });
});

test('a service in a crash loop is given up at its third restart, not at the deadline of the check', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.1.0');
  model.before = (call) => {
    if (call === 'status' && model.running?.version === '1.1.0' && model.restarts < 100) model.restarts += 1;
  };
  // A deadline that no machine is too slow for.
  const patient = serviceConfig().checks.map((check) => ({ ...check, deadline: 60_000 }));
  const life = await live(model, serviceConfig({ checks: patient }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  expect(ending).toMatchObject({ state: 'rolled-back', step: 'check', error: { code: 'CHECK_FAILED' } });
  expect(ending.error?.message).toMatch(
    /^the service is in a crash loop: its manager has restarted it \d times/,
  );
});

test('a check that times out names its deadline, where it is set, and the last answer', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.1.0');
  const life = await live(model);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  const { error } = await life.ending(order.deployment);
  expect(error?.message).toMatch(/http 500 \(0 of 2\) after /);
  expect(error?.hint).toMatch(/^`deadline` \(.+\) of check 1 of payments in agent\.yaml limits the wait/);
});

test('a check that fails in the watch period is named with its last answer', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model, serviceConfig({ watch: 10_000 }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  await life.reached((reports) => reports.some((report) => report.state === 'watching'));
  model.unhealthy.add('1.1.0');
  const { error } = await life.ending(order.deployment);
  expect(error).toMatchObject({ code: 'WATCH_FAILED' });
  expect(error?.message).toMatch(
    /^the checks passed, then .+: http 500 \(it has been failing for \d\.\d s\)$/,
  );
  expect(error?.hint).toContain('`watch`');
});

test('checks that pass do not count while the unit is down: another process may have answered', async () => {
  const model = modelRunning('1.0.0');
  let probes = 0;
  model.before = (call) => {
    if (model.running?.version !== '1.1.0') return;
    if (call === 'probe') probes += 1;
    // Gone after the last probe that is needed.
    if (call === 'status' && probes === 2) model.running = null;
  };
  const life = await live(model, serviceConfig({ watch: 0 }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'CHECK_FAILED' } });
  expect(ending.error?.message).toContain('inactive (dead)');
});

test('a process that dies in the watch period is rolled back', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model, serviceConfig({ watch: 10_000 }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  await life.reached((reports) => reports.some((report) => report.state === 'watching'));
  model.running = { version: '1.1.0', pid: 999, invocation: 'by itself' };
  expect(await life.ending(order.deployment)).toMatchObject({
    state: 'rolled-back',
    error: { code: 'WATCH_FAILED' },
  });
});
