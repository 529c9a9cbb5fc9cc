import { describe, expect, test } from 'vitest';
import type { Desired } from '../../../../shared/desired.ts';
import { TriggerDeployError } from '../../../../shared/errors.ts';
import { newUlid } from '../../../../shared/names.ts';
import { isEnding } from '../../../../shared/report.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createModel,
  hook,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** The steps, their order and the decisions between them, over an instance in memory. */

const statesOf = (model: Model, deployment: string) => {
  const states = [...model.progress, ...model.delivered]
    .filter((reply) => reply.kind === 'report')
    .filter((report) => report.deployment === deployment)
    .sort((a, b) => a.n - b.n)
    .map((report) => report.state);
  return states.filter((state, i) => state !== states[i - 1]);
};

describe('a deployment that succeeds', () => {
  test('goes through every state once and ends succeeded', async () => {
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

  test('runs the hooks before the stop and after the check, with both versions at hand', async () => {
    const model = modelRunning('1.0.0');
    const hooks = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
    const life = await live(model, serviceConfig({ hooks }));
    const order = orderOf('1.1.0');
    await life.worker.accept(order);
    await life.ending(order.deployment);
    expect(model.hooksRun).toEqual([
      { run: '/drain', version: '1.1.0' },
      { run: '/undrain', version: '1.1.0' },
    ]);
  });

  test('a version that runs already, healthy, is checked and not restarted', async () => {
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

  test('a version that runs already is not restarted for one failed probe', async () => {
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

  test('a version that runs already but is unhealthy is restarted', async () => {
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

  test('releases beyond the last two good ones are pruned', async () => {
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
});

describe('a deployment that fails', () => {
  test('its check: the old release runs again, healthy, with nothing downloaded for it', async () => {
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

  test('what an orphan answers in its place does not count: a unit that is down fails its check', async () => {
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

  test('with reportLog off no log leaves the instance', async () => {
    const model = modelRunning('1.0.0');
    model.unhealthy.add('1.1.0');
    model.log = 'card 4111 1111 1111 1111';
    const life = await live(model, serviceConfig({ reportLog: false }));
    const order = orderOf('1.1.0');
    await life.worker.accept(order);
    await life.ending(order.deployment);
    expect(JSON.stringify([model.delivered, model.progress])).not.toContain('4111');
  });

  test('its start: rolled back', async () => {
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

  test('the download: failed, and nothing was touched', async () => {
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

  test('a hook before the stop: failed, and the traffic is given back', async () => {
    const model = modelRunning('1.0.0');
    model.failingHooks.add('/drain-2');
    const hooks = { beforeStop: [hook('/drain-1'), hook('/drain-2')], afterStart: [hook('/undrain')] };
    const life = await live(model, serviceConfig({ hooks }));
    const order = orderOf('1.1.0');
    await life.worker.accept(order);
    expect(await life.ending(order.deployment)).toMatchObject({
      state: 'failed',
      error: { code: 'HOOK_FAILED' },
    });
    expect(model.hooksRun.map((one) => one.run)).toEqual(['/drain-1', '/drain-2', '/undrain']);
    expect(model.starts).toEqual([]);
  });

  test('the switch, before it touched anything: failed, traffic given back, the service not restarted', async () => {
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

  test('the first deploy: the unit is stopped and current removed', async () => {
    const model = createModel();
    model.unhealthy.add('1.0.0');
    const life = await live(model);
    const order = orderOf('1.0.0');
    await life.worker.accept(order);
    expect(await life.ending(order.deployment)).toMatchObject({ state: 'rolled-back', previous: null });
    expect(model).toMatchObject({ current: null, running: null });
  });

  test('and whose rollback fails as well is broken, once, with the reason', async () => {
    const model = modelRunning('1.0.0');
    model.unhealthy.add('1.0.0').add('1.1.0');
    const life = await live(model);
    const order = orderOf('1.1.0');
    await life.worker.accept(order);
    const ending = await life.ending(order.deployment);
    expect(ending).toMatchObject({ state: 'broken', error: { code: 'CHECK_FAILED' } });
    expect(ending.error?.message).toMatch(/^the rollback failed too: /);
    expect(model.starts).toEqual(['1.1.0', '1.0.0']);
    expect(life.worker.state().running).toBeNull();
  });

  test('is really installed again by a retry', async () => {
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
});

describe('several announcements', () => {
  test('a newer one supersedes the one that has not switched', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const older = orderOf('1.1.0');
    const newer = orderOf('1.2.0');
    const preparing = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    model.before = async (call) => {
      if (call !== 'prepare') return;
      preparing.resolve();
      await goOn.promise;
    };
    await life.worker.accept(older);
    await preparing.promise;
    await life.worker.accept(newer);
    goOn.resolve();
    expect(await life.ending(older.deployment)).toMatchObject({ state: 'superseded', changed: false });
    expect(await life.ending(newer.deployment)).toMatchObject({ state: 'succeeded' });
    expect(model.starts).toEqual(['1.2.0']);
  });

  test('a newer one waits for the one that has switched, and the newest that waits wins', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const [running, skipped, newest] = [orderOf('1.1.0'), orderOf('1.2.0'), orderOf('1.3.0')] as const;
    const restarting = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    model.before = async (call) => {
      if (call !== 'restart') return;
      restarting.resolve();
      await goOn.promise;
    };
    await life.worker.accept(running);
    await restarting.promise;
    await life.worker.accept(skipped);
    await life.worker.accept(newest);
    goOn.resolve();
    expect(await life.ending(running.deployment)).toMatchObject({ state: 'succeeded' });
    expect(await life.ending(skipped.deployment)).toMatchObject({ state: 'superseded' });
    expect(await life.ending(newest.deployment)).toMatchObject({ state: 'succeeded', previous: '1.1.0' });
    expect(model.starts).toEqual(['1.1.0', '1.3.0']);
  });

  test('a cancel ends what has not switched, and gives drained traffic back', async () => {
    const model = modelRunning('1.0.0');
    const hooks = { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] };
    const life = await live(model, serviceConfig({ hooks }));
    const order = orderOf('1.1.0');
    const draining = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    model.before = async (call) => {
      if (call !== 'hook /drain') return;
      draining.resolve();
      await goOn.promise;
    };
    await life.worker.accept(order);
    await draining.promise;
    await life.worker.cancel(order.deployment);
    goOn.resolve();
    expect(await life.ending(order.deployment)).toMatchObject({ state: 'cancelled', changed: false });
    expect(model.hooksRun.map((one) => one.run)).toEqual(['/undrain']);
    expect(model.current).toBe('1.0.0');
  });

  test('a cancel after the switch changes nothing', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const order = orderOf('1.1.0');
    const restarting = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    model.before = async (call) => {
      if (call !== 'restart') return;
      restarting.resolve();
      await goOn.promise;
    };
    await life.worker.accept(order);
    await restarting.promise;
    await life.worker.cancel(order.deployment);
    goOn.resolve();
    expect(await life.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  });

  test('what is to be prepared only stands still until it is told to go on', async () => {
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

  test('what stands prepared can still be cancelled', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const order = orderOf('1.1.0', { hold: true });
    await life.worker.accept(order);
    await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
    await life.worker.cancel(order.deployment);
    expect(await life.ending(order.deployment)).toMatchObject({ state: 'cancelled' });
  });

  test('what stands prepared gives way to a newer one', async () => {
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
});

describe('an agent that is stopped', () => {
  test.each(['prepare', 'status', 'switchTo', 'restart', 'probe'])(
    'at %s leaves no verdict, and the next life finishes the deployment',
    async (call) => {
      const model = modelRunning('1.0.0');
      const first = await live(model);
      const order = orderOf('1.1.0');
      const there = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      model.before = async (now) => {
        if (now !== call) return;
        there.resolve();
        await goOn.promise;
      };
      await first.worker.accept(order);
      await there.promise;
      const stopped = first.stop();
      goOn.resolve();
      await stopped;
      expect(model.delivered.filter((report) => isEnding(report.state))).toEqual([]);
      model.before = () => undefined;
      const second = await live(model);
      expect(await second.ending(order.deployment)).toMatchObject({ state: 'succeeded', previous: '1.0.0' });
      expect(model).toMatchObject({ current: '1.1.0', running: { version: '1.1.0' } });
      expect(model.starts).toEqual(['1.1.0']);
    },
  );

  test('in its rollback rolls back in the next life', async () => {
    const model = modelRunning('1.0.0');
    model.unhealthy.add('1.1.0');
    const first = await live(model);
    const order = orderOf('1.1.0');
    const there = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    model.before = async (now) => {
      if (now !== 'restart' || model.current !== '1.0.0') return;
      there.resolve();
      await goOn.promise;
    };
    await first.worker.accept(order);
    await there.promise;
    const stopped = first.stop();
    goOn.resolve();
    await stopped;
    model.before = () => undefined;
    const second = await live(model);
    expect(await second.ending(order.deployment)).toMatchObject({
      state: 'rolled-back',
      error: { code: 'CHECK_FAILED' },
    });
    expect(model.running?.version).toBe('1.0.0');
  });

  test('by a machine that goes down gives no verdict on the version', async () => {
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

  test('in good order, however often, does not count against the deployment', async () => {
    const model = modelRunning('1.0.0');
    const order = orderOf('1.1.0');
    for (let i = 0; i < 8; i += 1) {
      const there = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      model.before = async (call) => {
        if (call !== 'probe') return;
        there.resolve();
        await goOn.promise;
      };
      const life = await live(model);
      if (i === 0) await life.worker.accept(order);
      await there.promise;
      const stopped = life.stop();
      goOn.resolve();
      await stopped;
    }
    model.before = () => undefined;
    const last = await live(model);
    expect(await last.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
  });

  test('while its deployment stands prepared, however often, finds it so', async () => {
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

  test('again and again by one deployment goes back to the old release', async () => {
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
});

describe('converging', () => {
  const wants = (version: string, sequence: number, deployment = newUlid(1_800_000_000_000 + sequence)) => {
    const { artifacts } = orderOf(version);
    const desired: Desired = {
      v: 1,
      env: 'dev',
      service: 'payments',
      version,
      sequence,
      deployment,
      action: 'deploy',
      artifacts,
      changedAt: '2026-01-01T00:00:00.000Z',
      changedBy: 'ci',
      nonce: 'n',
    };
    return { desired, reader: { read: async () => desired } };
  };
  const NEVER = new AbortController().signal;
  const endings = (model: Model, deployment: string) =>
    model.delivered.filter((report) => report.deployment === deployment && isEnding(report.state));

  test('twice at once, and announced as well, is one deployment with one ending', async () => {
    const model = createModel();
    const life = await live(model);
    const { desired, reader } = wants('1.0.0', 5);
    const order = orderOf('1.0.0', { deployment: desired.deployment, sequence: 5 });
    await Promise.all([
      life.worker.converge(reader, NEVER),
      life.worker.converge(reader, NEVER),
      life.worker.accept(order),
    ]);
    expect(await life.ending(desired.deployment)).toMatchObject({ state: 'succeeded' });
    await life.reached(() => life.worker.state().outbox.length === 0);
    expect(endings(model, desired.deployment)).toHaveLength(1);
    expect(model.starts).toEqual(['1.0.0']);
  });

  test('replaces what was prepared by a publisher that never came back', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const held = orderOf('1.1.0', { hold: true });
    await life.worker.accept(held);
    await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
    const { desired, reader } = wants('1.2.0', held.sequence + 1);
    await life.worker.converge(reader, NEVER);
    expect(await life.ending(held.deployment)).toMatchObject({ state: 'superseded' });
    expect(await life.ending(desired.deployment)).toMatchObject({ state: 'succeeded' });
  });

  test('goes on with what was prepared here late, once its rollout has passed without it', async () => {
    const model = modelRunning('1.0.0');
    const life = await live(model);
    const held = orderOf('1.1.0', { hold: true });
    await life.worker.accept(held);
    await life.reached((reports) => reports.some((report) => report.state === 'prepared'));
    const { desired, reader } = wants('1.1.0', held.sequence, held.deployment);
    await Promise.all([life.worker.converge(reader, NEVER), life.worker.converge(reader, NEVER)]);
    expect(await life.ending(desired.deployment)).toMatchObject({ state: 'succeeded', previous: '1.0.0' });
    await life.reached(() => life.worker.state().outbox.length === 0);
    expect(endings(model, desired.deployment)).toHaveLength(1);
    expect(model).toMatchObject({ starts: ['1.1.0'], downloads: ['1.1.0'] });
    expect(life.worker.state()).toMatchObject({ running: { sequence: held.sequence }, waiting: null });
  });

  test('on what was rejected here as expired brings the version, and no second ending', async () => {
    const model = createModel();
    const life = await live(model);
    const { desired, reader } = wants('1.0.0', 5);
    const expired = orderOf('1.0.0', { deployment: desired.deployment, sequence: 5 });
    await life.worker.refuse(expired, 'rejected', { code: 'EXPIRED', message: 'too late' });
    await life.ending(desired.deployment);
    await life.worker.converge(reader, NEVER);
    await life.reached(() => model.records.at(-1)?.version === '1.0.0');
    expect(endings(model, desired.deployment).map((report) => report.state)).toEqual(['rejected']);
    expect(model.running?.version).toBe('1.0.0');
  });

  test('goes on after a failure that may pass by itself', async () => {
    const model = createModel();
    const life = await live(model);
    const { desired, reader } = wants('1.0.0', 5);
    model.unavailable.add('1.0.0');
    await life.worker.converge(reader, NEVER);
    expect(await life.ending(desired.deployment)).toMatchObject({ state: 'failed', step: 'prepare' });
    model.unavailable.clear();
    await life.worker.converge(reader, NEVER);
    await life.reached(() => model.records.at(-1)?.version === '1.0.0');
    expect(endings(model, desired.deployment)).toHaveLength(1);
  });

  test('leaves alone what is broken, until something newer is desired', async () => {
    const model = modelRunning('1.0.0');
    model.unhealthy.add('1.0.0').add('1.1.0');
    const life = await live(model);
    const order = orderOf('1.1.0');
    await life.worker.accept(order);
    expect(await life.ending(order.deployment)).toMatchObject({ state: 'broken' });
    const starts = model.starts.length;
    await life.worker.converge(wants('1.0.0', order.sequence - 1).reader, NEVER);
    expect(life.worker.state()).toMatchObject({ waiting: null, active: null });
    expect(model.starts).toHaveLength(starts);
    await life.reached(() => model.records.at(-1)?.state === 'broken');
    const stale = orderOf('0.9.0', { sequence: order.sequence - 2 });
    const why = { code: 'SUPERSEDED', message: 'older than what was seen' } as const;
    await life.worker.refuse(stale, 'superseded', why);
    await life.worker.converge(wants('1.0.0', order.sequence - 1).reader, NEVER);
    expect(life.worker.state()).toMatchObject({ waiting: null, active: null });
    expect(await life.worker.record(NEVER)).toMatchObject({ state: 'broken' });
    const newer = wants('1.2.0', order.sequence + 1);
    await life.worker.converge(newer.reader, NEVER);
    expect(await life.ending(newer.desired.deployment)).toMatchObject({ state: 'succeeded' });
  });
});

describe('reports', () => {
  test('one that cannot be sent is sent in the next life, and changes nothing that runs', async () => {
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

  test('a duplicate gets the same answer again', async () => {
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
