import { describe, expect, test } from 'vitest';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { isEnding } from '../../../../shared/states.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import { modelRunning, orderOf } from '../../../support/fleet/fake-ports.ts';
import { holdAt } from '../../../support/fleet/hold.ts';

/** A deployment across restarts of the agent and the machine. */

describe('an agent that is stopped', () => {
  test.each(['prepare', 'status', 'switchTo', 'restart', 'probe'])(
    'at %s reports no ending, and the next life finishes the deployment',
    async (call) => {
      const model = modelRunning('1.0.0');
      const first = await live(model);
      const order = orderOf('1.1.0');
      const { reached, goOn } = holdAt(model, call);
      await first.worker.accept(order);
      await reached;
      const stopped = first.stop();
      goOn();
      await stopped;
      expect(model.delivered.filter((report) => isEnding(report.state))).toEqual([]);
      model.before = () => undefined;
      const second = await live(model);
      expect(await second.ending(order.deployment)).toMatchObject({ state: 'succeeded', previous: '1.0.0' });
      expect(model).toMatchObject({ current: '1.1.0', running: { version: '1.1.0' } });
      expect(model.starts).toEqual(['1.1.0']);
    },
  );

  test('during a rollback finishes the rollback in the next life', async () => {
    const model = modelRunning('1.0.0');
    model.unhealthy.add('1.1.0');
    const first = await live(model);
    const order = orderOf('1.1.0');
    const { reached, goOn } = holdAt(model, (now) => now === 'restart' && model.current === '1.0.0');
    await first.worker.accept(order);
    await reached;
    const stopped = first.stop();
    goOn();
    await stopped;
    model.before = () => undefined;
    const second = await live(model);
    expect(await second.ending(order.deployment)).toMatchObject({
      state: 'rolled-back',
      error: { code: 'CHECK_FAILED' },
    });
    expect(model.running?.version).toBe('1.0.0');
  });

  test('by a machine that shuts down reports no ending', async () => {
    const model = modelRunning('1.0.0');
    const first = await live(model);
    const order = orderOf('1.1.0');
    const down = Promise.withResolvers<void>();
    model.before = (now) => {
      if (now !== 'probe' || model.starts.length === 0) return;
      model.machineStopping = true;
      model.running = null;
      down.resolve();
    };
    await first.worker.accept(order);
    await down.promise;
    await first.stop();
    expect(model.delivered.filter((report) => isEnding(report.state))).toEqual([]);
    Object.assign(model, { before: () => undefined, machineStopping: false, bootId: 'boot-2' });
    model.running = { version: '1.1.0', pid: 7, invocation: 'at boot' };
    const second = await live(model);
    expect(await second.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  });

  test('cleanly, however often, does not count as a recovery', async () => {
    const model = modelRunning('1.0.0');
    const order = orderOf('1.1.0');
    for (let i = 0; i < 8; i += 1) {
      const { reached, goOn } = holdAt(model, 'probe');
      const life = await live(model);
      if (i === 0) await life.worker.accept(order);
      await reached;
      const stopped = life.stop();
      goOn();
      await stopped;
    }
    model.before = () => undefined;
    const last = await live(model);
    expect(await last.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  });

  test('while its deployment is prepared, however often, keeps it prepared', async () => {
    const model = modelRunning('1.0.0');
    const order = orderOf('1.1.0', { hold: true });
    let life = await live(model);
    await life.worker.accept(order);
    await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
    for (let i = 0; i < 8; i += 1) {
      await life.stop();
      const lines = model.journal.length;
      life = await live(model);
      await life.reached(() => model.journal.length > lines);
      // Taken up, and at rest again: there is no run that could mark a checkpoint.
      await new Promise((resolve) => setImmediate(resolve));
    }
    await life.worker.proceed(order.deployment, undefined);
    expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  });
});

test('a deployment in which the agent dies six times is rolled back', async () => {
  const model = modelRunning('1.0.0');
  const order = orderOf('1.1.0');
  for (let i = 0; i < 6; i += 1) {
    const there = Promise.withResolvers<void>();
    let killed = false;
    model.before = (now) => {
      if (now === 'restart') killed = true;
      if (!killed) return;
      // What is dead writes nothing any more.
      there.resolve();
      throw new TriggerDeployError('INTERRUPTED', 'killed');
    };
    const life = await live(model);
    if (i === 0) await life.worker.accept(order);
    await there.promise;
    await life.stop();
  }
  model.before = () => undefined;
  const last = await live(model);
  expect(await last.ending(order.deployment)).toMatchObject({
    state: 'rolled-back',
    error: { code: 'RECOVERY_EXHAUSTED' },
  });
  expect(model.running?.version).toBe('1.0.0');
});
