import { describe, expect, test } from 'vitest';
import { live } from '../../../support/fleet/agent-life.ts';
import { type Model, modelRunning, orderOf, serviceConfig } from '../../../support/fleet/fake-ports.ts';
import { holdAt } from '../../../support/fleet/hold.ts';

/** The course of a deployment, and several at once. Each step has a test file of its own. */

const statesOf = (model: Model, deployment: string) => {
  const states = [...model.progress, ...model.delivered]
    .filter((reply) => reply.kind === 'report')
    .filter((report) => report.deployment === deployment)
    .sort((a, b) => a.n - b.n)
    .map((report) => report.state);
  return states.filter((state, i) => state !== states[i - 1]);
};

test('a deployment passes every state once and ends succeeded', async () => {
  const model = modelRunning('1.0.0');
  const life = await live(model, serviceConfig({ watch: 10 }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  expect(ending).toMatchObject({ state: 'succeeded', version: '1.1.0', previous: '1.0.0', changed: true });
  expect(statesOf(model, order.deployment)).toEqual([
    'accepted',
    'preparing',
    'prepared',
    'draining',
    'switching',
    'starting',
    'checking',
    'watching',
    'succeeded',
  ]);
  expect(model).toMatchObject({ current: '1.1.0', running: { version: '1.1.0' }, starts: ['1.1.0'] });
  expect(Object.keys(ending.timings)).toEqual(
    expect.arrayContaining(['prepare', 'drain', 'switch', 'start', 'check', 'watch', 'commit']),
  );
});

test('the ending has the spans before the start, and those of the steps', async () => {
  const life = await live(modelRunning('1.0.0'), serviceConfig());
  const order = { ...orderOf('1.1.0'), receivedAt: Date.now(), spans: { announce: 20, deliver: 5 } };
  await life.worker.accept(order);
  const { spans = {} } = await life.ending(order.deployment);
  expect(spans).toMatchObject({ announce: 20, deliver: 5 });
  expect(Object.keys(spans)).toEqual(expect.arrayContaining(['admit', 'healthy']));
});

test('with reportLog off, no log leaves the instance', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.1.0');
  model.log = 'card 4111 1111 1111 1111';
  const life = await live(model, serviceConfig({ reportLog: false }));
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  await life.ending(order.deployment);
  expect(JSON.stringify([model.delivered, model.progress])).not.toContain('4111');
});

describe('several announcements', () => {
  test('a newer one supersedes one that has not switched', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const older = orderOf('1.1.0');
    const newer = orderOf('1.2.0');
    const { reached, goOn } = holdAt(model, 'prepare');
    await life.worker.accept(older);
    await reached;
    await life.worker.accept(newer);
    goOn();
    expect(await life.ending(older.deployment)).toMatchObject({ state: 'superseded', changed: false });
    expect(await life.ending(newer.deployment)).toMatchObject({ state: 'succeeded' });
    expect(model.starts).toEqual(['1.2.0']);
  });

  test('a newer one waits for one that has switched, and only the newest of those that wait runs', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const [running, skipped, newest] = [orderOf('1.1.0'), orderOf('1.2.0'), orderOf('1.3.0')] as const;
    const { reached, goOn } = holdAt(model, 'restart');
    await life.worker.accept(running);
    await reached;
    await life.worker.accept(skipped);
    await life.worker.accept(newest);
    goOn();
    expect(await life.ending(running.deployment)).toMatchObject({ state: 'succeeded' });
    expect(await life.ending(skipped.deployment)).toMatchObject({ state: 'superseded' });
    expect(await life.ending(newest.deployment)).toMatchObject({ state: 'succeeded', previous: '1.1.0' });
    expect(model.starts).toEqual(['1.1.0', '1.3.0']);
  });
});

describe('reports', () => {
  test('a report that cannot be sent is sent in the next life, and affects no service', async () => {
    const model = modelRunning('1.0.0');
    const first = await live(model);
    model.before = (call) => {
      if (call === 'deliver') throw new Error('AWS is away');
    };
    const order = orderOf('1.1.0');
    await first.worker.accept(order);
    await first.reached(
      () => model.running?.version === '1.1.0' && first.worker.state().endings.length === 1,
    );
    await first.stop();
    expect(model.delivered).toEqual([]);
    model.before = () => undefined;
    const second = await live(model);
    expect(await second.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
    expect(model.starts).toEqual(['1.1.0']);
  });

  test('a duplicate announcement gets the same answer again', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const order = orderOf('1.1.0');
    await life.worker.accept(order);
    const ending = await life.ending(order.deployment);
    model.progress = [];
    await life.worker.repeat(order.deployment, 'other-reply');
    expect(model.progress).toEqual([ending]);
  });
});

test('the state of another instance is reset, and its releases kept', async () => {
  const model = modelRunning('1.0.0');
  const first = await live(model);
  const order = orderOf('1.1.0');
  await first.worker.accept(order);
  await first.ending(order.deployment);
  await first.stop();
  model.journal = model.journal.map((state) => ({ ...state, instance: 'i-image' }));
  const clone = await live(model);
  expect(clone.worker.state()).toMatchObject({ instance: 'i-1', running: null, endings: [], outbox: [] });
  expect([...model.releases.keys()]).toContain('1.1.0');
});
