import { describe, expect, test } from 'vitest';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { newUlid } from '../../../../shared/names.ts';
import { isEnding } from '../../../../shared/states.ts';
import { hook, type Model, modelRunning, orderOf } from '../../../support/fleet/fake-ports.ts';
import { hangAt, liveOnHeldClock } from '../../../support/fleet/hanging.ts';
import { proved } from '../../../support/reliability.ts';

/** A step that does not answer: it is left, and the newest intent wins. */

const ANSWERS_WITHIN = 10_000;
const UNTIL_DONE = 60_000;

const endingsOf = (model: Model, deployment: string) =>
  model.delivered.filter((one) => one.deployment === deployment && isEnding(one.state));

/** The calls of the steps before the switch that a deployment of this model makes, each of which may hang. */
const CALLS = ['prepare', 'hook stop', 'traffic groups', 'traffic leave'] as const;

async function hung(call: string) {
  const model = modelRunning('1.0.0');
  model.groups = new Set(['web']);
  const life = await liveOnHeldClock(model, { hooks: { beforeStop: [hook('stop')], afterStart: [] } });
  const older = orderOf('1.1.0');
  const { reached } = hangAt(model, (now) => now === call);
  await life.worker.accept(older);
  await reached;
  return { model, life, older };
}

describe.each(CALLS)('a deployment whose %s never returns', (call) => {
  test('is superseded by a newer announcement, which is deployed', async () => {
    const { model, life, older } = await hung(call);
    const newer = orderOf('1.2.0');
    await life.worker.accept(newer);
    model.before = () => undefined;
    await life.putForward(ANSWERS_WITHIN + UNTIL_DONE);
    expect(endingsOf(model, older.deployment)).toMatchObject([{ state: 'superseded', changed: false }]);
    expect(endingsOf(model, newer.deployment)).toMatchObject([{ state: 'succeeded' }]);
    proved('hang', `${call} never returns: superseded by a newer announcement`);
  });

  test('is superseded by a local order', async () => {
    const { model, life, older } = await hung(call);
    const local = orderOf('1.2.0', { source: 'local', sequence: older.sequence });
    await life.worker.accept(local);
    model.before = () => undefined;
    await life.putForward(ANSWERS_WITHIN + UNTIL_DONE);
    expect(endingsOf(model, older.deployment)).toMatchObject([{ state: 'superseded' }]);
    expect(endingsOf(model, local.deployment)).toMatchObject([{ state: 'succeeded' }]);
  });

  test('is cancelled, and nothing was changed', async () => {
    const { model, life, older } = await hung(call);
    await life.worker.cancel(older.deployment);
    model.before = () => undefined;
    await life.putForward(ANSWERS_WITHIN + UNTIL_DONE);
    expect(endingsOf(model, older.deployment)).toMatchObject([{ state: 'cancelled', changed: false }]);
    expect(model).toMatchObject({ current: '1.0.0', starts: [], groups: new Set(['web']) });
  });

  test('does not keep the agent from stopping, and counts as a recovery at the next start', async () => {
    const { model, life, older } = await hung(call);
    const stopped = life.stop();
    await life.putForward(ANSWERS_WITHIN + UNTIL_DONE);
    await stopped;
    model.before = () => undefined;
    const next = await liveOnHeldClock(model);
    await next.putForward(UNTIL_DONE);
    // A hook ends by its own timeout, before the stop gives up waiting for it.
    const isCounted = model.journal.some(({ active }) => active?.recoveries === 1);
    expect(isCounted).toBe(call !== 'hook stop');
    expect(endingsOf(model, older.deployment)).toMatchObject([{ state: 'succeeded' }]);
  });
});

test.each(['status', 'switchTo', 'restart', 'probe'])(
  'a stop ends although %s after the switch never returns',
  async (call) => {
    const model = modelRunning('1.0.0');
    const life = await liveOnHeldClock(model);
    const order = orderOf('1.1.0');
    const { reached } = hangAt(model, (now) => now === call);
    await life.worker.accept(order);
    await reached;
    const stopped = life.stop();
    await life.putForward(UNTIL_DONE);
    await stopped;
    model.before = () => undefined;
    const next = await liveOnHeldClock(model);
    await next.putForward(UNTIL_DONE);
    expect(endingsOf(model, order.deployment)).toMatchObject([{ state: 'succeeded' }]);
    proved('hang', `${call} never returns: the agent stops`);
  },
);

test('what a left preparation does later changes nothing', async () => {
  const model = modelRunning('1.0.0');
  const life = await liveOnHeldClock(model);
  const older = orderOf('1.1.0');
  const [reached, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  model.before = async (call) => {
    if (call !== 'prepare') return;
    reached.resolve();
    await released.promise;
  };
  await life.worker.accept(older);
  await reached.promise;
  model.before = () => undefined;
  const newer = orderOf('1.2.0');
  await life.worker.accept(newer);
  await life.putForward(ANSWERS_WITHIN + UNTIL_DONE);
  const [lines, reports] = [model.journal.length, model.progress.length];
  released.resolve();
  await life.putForward(UNTIL_DONE);
  expect(model).toMatchObject({ current: '1.2.0', starts: ['1.2.0'] });
  expect([model.journal.length, model.progress.length]).toEqual([lines, reports]);
});

test('a preparation that reports nothing for an hour fails, and is not tried again by itself', async () => {
  const model = modelRunning('1.0.0');
  const life = await liveOnHeldClock(model);
  const order = orderOf('1.1.0');
  const { reached } = hangAt(model, (now) => now === 'prepare');
  await life.worker.accept(order);
  await reached;
  await life.putForward(59 * 60_000);
  expect(endingsOf(model, order.deployment)).toEqual([]);
  await life.putForward(2 * 60_000);
  expect(endingsOf(model, order.deployment)).toMatchObject([{ state: 'failed', error: { code: 'TIMEOUT' } }]);
  expect(life.worker.state().failures).toMatchObject([{ deployment: order.deployment }]);
});

test('a stop waits for a hook that runs, until its timeout', async () => {
  const model = modelRunning('1.0.0');
  const slow = { ...hook('stop'), timeout: 120_000 };
  const life = await liveOnHeldClock(model, { hooks: { beforeStop: [slow], afterStart: [] } });
  const { reached } = hangAt(model, (now) => now === 'hook stop');
  await life.worker.accept(orderOf('1.1.0'));
  await reached;
  let isStopped = false;
  const stopped = life.stop().then(() => {
    isStopped = true;
  });
  await life.putForward(119_000);
  expect(isStopped).toBe(false);
  await life.putForward(30_000);
  await stopped;
});

test.each(['hook up', 'probe'])('a %s that ignores its own timeout fails the deployment', async (call) => {
  const model = modelRunning('1.0.0');
  const life = await liveOnHeldClock(model, { hooks: { beforeStop: [], afterStart: [hook('up')] } });
  const order = orderOf('1.1.0');
  const [check] = life.worker.service.checks;
  if (check) Object.assign(check, { deadline: 300 });
  hangAt(model, (now) => now === call && model.running?.version === '1.1.0');
  await life.worker.accept(order);
  await expect
    .poll(async () => {
      await life.putForward(UNTIL_DONE);
      return endingsOf(model, order.deployment)[0]?.state;
    })
    .toBe('rolled-back');
});

test('an agent that a deployment stops again and again, cleanly, gives the deployment up', async () => {
  const model = modelRunning('1.0.0');
  const order = orderOf('1.1.0');
  for (let n = 0; n <= 20; n += 1) {
    model.before = (call) =>
      call === 'prepare' ? new Promise((resolve) => setImmediate(() => setImmediate(resolve))) : undefined;
    const life = await liveOnHeldClock(model);
    if (n === 0) await life.worker.accept(order);
    await life.reached(
      () =>
        model.journal.at(-1)?.active?.state === 'preparing' || endingsOf(model, order.deployment).length > 0,
    );
    await life.stop();
  }
  model.before = () => undefined;
  const last = await liveOnHeldClock(model);
  await last.putForward(UNTIL_DONE);
  expect(endingsOf(model, order.deployment)).toMatchObject([
    {
      state: 'failed',
      error: { code: 'RECOVERY_EXHAUSTED', message: expect.stringContaining('was stopped 21 times') },
    },
  ]);
  proved('again', 'stopped cleanly 21 times during one deployment: refused');
});

test('a preparation that kills the agent is refused after six deaths, and is not converged on again', async () => {
  const model = modelRunning('1.0.0');
  const order = orderOf('1.1.0');
  for (let n = 0; n < 6; n += 1) {
    const there = Promise.withResolvers<void>();
    let isDead = false;
    model.before = (call) => {
      if (call === 'prepare') isDead = true;
      if (!isDead) return;
      there.resolve();
      // What is dead writes nothing any more.
      throw new TriggerDeployError('INTERRUPTED', 'killed');
    };
    const life = await liveOnHeldClock(model);
    if (n === 0) await life.worker.accept(order);
    await there.promise;
    await life.stop();
  }
  model.before = () => undefined;
  const last = await liveOnHeldClock(model);
  await last.putForward(UNTIL_DONE);
  expect(endingsOf(model, order.deployment)).toMatchObject([
    { state: 'failed', error: { code: 'RECOVERY_EXHAUSTED' } },
  ]);
  expect(last.worker.state().failures).toMatchObject([{ deployment: order.deployment }]);
  const next = { ...orderOf('1.2.0'), deployment: newUlid(Date.now()) };
  await last.worker.accept(next);
  await last.putForward(UNTIL_DONE);
  expect(endingsOf(model, next.deployment)).toMatchObject([{ state: 'succeeded' }]);
  proved('again', 'six deaths while preparing: refused');
});
