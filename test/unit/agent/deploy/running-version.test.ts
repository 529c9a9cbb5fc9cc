import { once } from 'node:events';
import { expect, test } from 'vitest';
import type { Look, ServiceProcess, Shown } from '../../../../agent/deploy/look-port.ts';
import type { Ports } from '../../../../agent/deploy/ports.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  createFakePorts,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';
import { proved } from '../../../support/reliability.ts';

/** `succeeded` means that the new version runs: the processes of the service are looked at. */

/** What a process shows, by its version; undefined for one that shows nothing. */
type Shows = (process: ServiceProcess) => string | undefined;

interface Host {
  processes?: () => ServiceProcess[];
  shows: Shows;
  hidden?: number;
}

function portsOf(model: Model, { processes, shows, hidden = 0 }: Host): Ports {
  const ports = createFakePorts(model);
  if (processes) ports.manager.processes = async () => processes();
  ports.package.look = async (version, found) => ({
    shown: found.flatMap((process): Shown[] => {
      const shown = shows(process);
      return shown === undefined
        ? []
        : [{ process, wanted: shown === version, version: shown, by: 'its program' }];
    }),
    hidden,
    missing: 'a file of it',
    hint: 'start it by current',
  });
  // A health check that does not name the version.
  ports.probe.probe = async () => ({ ok: true, note: 'http 200' });
  return ports;
}

async function deployed(model: Model, host: Host, order = orderOf('1.1.0'), watch = 0) {
  const life = await live(model, serviceConfig({ watch }), portsOf(model, host));
  await life.worker.accept(order);
  return await life.ending(order.deployment);
}

const started = (pid: number, main = true): ServiceProcess => ({ pid, id: `${pid}-1`, main });

test('a service whose process shows another release is rolled back although its checks pass', async () => {
  const model = modelRunning('1.0.0');
  const ending = await deployed(model, { shows: () => '1.0.0' });
  expect(ending).toMatchObject({ state: 'rolled-back', step: 'check', previous: '1.0.0' });
  expect(ending.error).toMatchObject({ code: 'RELEASE_NOT_RUN', hint: 'start it by current' });
  expect(ending.error?.message).toMatch(
    /^process \d+ of the service runs 1\.0\.0 \(its program\), not 1\.1\.0$/,
  );
  expect(ending.warning).toBeUndefined();
  proved('not-running', 'the process shows another release: rolled back');
});

test('a process of the version before that is still ending is waited for', async () => {
  const model = modelRunning('1.0.0');
  let looks = 0;
  const shows: Shows = ({ main }) => (main ? '1.1.0' : '1.0.0');
  const processes = () => {
    looks += 1;
    return looks > 4 ? [started(201)] : [started(201), started(100, false)];
  };
  expect(await deployed(model, { processes, shows })).toMatchObject({ state: 'succeeded' });
});

test('another release that shows only in the watch period is rolled back', async () => {
  const model = modelRunning('1.0.0');
  const isWatched = () => model.progress.some((one) => one.kind === 'report' && one.state === 'watching');
  const shows: Shows = () =>
    isWatched() && model.current === '1.1.0' ? '1.0.0' : (model.current ?? undefined);
  const ending = await deployed(model, { shows }, orderOf('1.1.0'), 20_000);
  expect(ending).toMatchObject({ state: 'rolled-back', step: 'watch', error: { code: 'RELEASE_NOT_RUN' } });
});

test('a main process that started before the switch means that nothing was restarted', async () => {
  const model = modelRunning('1.0.0');
  const ending = await deployed(model, {
    processes: () => [started(100), started(7, false)],
    shows: () => undefined,
  });
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'RELEASE_NOT_RUN' } });
  expect(ending.error?.message).toBe(
    'process 100 of the service started before the switch, and still runs: 1.1.0 was not started',
  );
});

test('an agent that deploys itself is a process that started after the switch began', async () => {
  const model = modelRunning('1.0.0');
  let pid = 100;
  const host: Host = { processes: () => [started(pid)], shows: () => undefined };
  const old = portsOf(model, host);
  old.package.switchTo = async (_version, { signal }) => {
    // The guard ends this agent, and starts the new one.
    pid = 200;
    await once(signal, 'abort');
    throw signal.reason;
  };
  const before = await live(model, serviceConfig({ watch: 0 }), old);
  const order = orderOf('1.1.0');
  await before.worker.accept(order);
  await before.reached(() => pid === 200);
  await before.stop();
  const after = await live(model, serviceConfig({ watch: 0 }), portsOf(model, host));
  expect(await after.ending(order.deployment)).toMatchObject({ state: 'succeeded' });
});

test('a main process that is replaced after the checks passed, while the processes are looked at, fails the check', async () => {
  const model = modelRunning('1.0.0');
  const ports = portsOf(model, { shows: () => model.current ?? undefined });
  const { look } = ports.package;
  let isReplaced = false;
  ports.package.look = async (...args) => {
    isReplaced ||= model.current === '1.1.0';
    return (await look?.(...args)) as Look;
  };
  const { status, restart } = ports.manager;
  ports.manager.status = async (signal) => ({ ...(await status(signal)), mainPid: isReplaced ? 200 : 100 });
  ports.manager.restart = async (...args) => ({ ...(await restart(...args)), mainPid: 100 });
  const life = await live(model, serviceConfig({ watch: 0 }), ports);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  expect(await life.ending(order.deployment)).toMatchObject({
    ...{ state: 'rolled-back', step: 'check' },
    error: {
      code: 'CHECK_FAILED',
      message: 'the checks passed, then the main process changed from 100 to 200',
    },
  });
});

test('a helper that outlives the restart is no verdict where another process shows the new version', async () => {
  const model = modelRunning('1.0.0');
  const processes = () => [started(100 + model.starts.length), started(7, false)];
  const shows: Shows = ({ main }) => (main ? (model.current ?? undefined) : undefined);
  const ending = await deployed(model, { processes, shows });
  expect(ending).toMatchObject({ state: 'succeeded' });
  expect(ending.warning).toBeUndefined();
});

test('a restart that replaces nothing did not restart', async () => {
  const model = modelRunning('1.0.0');
  const order = orderOf('1.0.0', { action: 'restart' });
  const ending = await deployed(model, { processes: () => [started(100)], shows: () => '1.0.0' }, order);
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'RELEASE_NOT_RUN' } });
  proved('not-running', 'a restart that replaced no process: rolled back');
});

test.each<[string, Host, RegExp]>([
  ['no process is known', { processes: () => [], shows: () => undefined }, /no process of it is known$/],
  [
    'no process shows a file of it',
    { shows: () => undefined },
    /none of its 1 processes has or names a file of it$/,
  ],
  [
    'the agent may not look',
    { shows: () => undefined, hidden: 1 },
    /the agent may not inspect 1 of its 1 processes$/,
  ],
])('a version of which nothing shows that it runs succeeds with a warning: %s', async (_why, host, text) => {
  const ending = await deployed(modelRunning('1.0.0'), host);
  expect(ending).toMatchObject({ state: 'succeeded', version: '1.1.0' });
  expect(ending.warning).toMatch(/^nothing shows that the service runs 1\.1\.0: /);
  expect(ending.warning).toMatch(text);
});

test('a rollback after which the failed version still runs is broken', async () => {
  const model = modelRunning('1.0.0');
  model.unhealthy.add('1.1.0');
  const ports = portsOf(model, { shows: () => (model.starts.length > 0 ? '1.1.0' : '1.0.0') });
  ports.probe.probe = async (_check, { version }) => ({ ok: version === '1.0.0', note: 'http 500' });
  const life = await live(model, serviceConfig(), ports);
  const order = orderOf('1.1.0');
  await life.worker.accept(order);
  const ending = await life.ending(order.deployment);
  expect(ending).toMatchObject({ state: 'broken', error: { code: 'RELEASE_NOT_RUN' } });
  expect(ending.error?.message).toContain('runs 1.1.0 (its program), not 1.0.0');
});

test('a rollback to what ran before, whatever that is, does not fail: the rest is a warning', async () => {
  const model = modelRunning('1.0.0');
  const ending = await deployed(model, { shows: () => '0.9.0' });
  expect(ending).toMatchObject({ state: 'rolled-back', error: { code: 'RELEASE_NOT_RUN' } });
  expect(ending.warning).toMatch(/runs 0\.9\.0 \(its program\), not 1\.0\.0, as before this deployment$/);
});

test('a rollback does not fail because the process from before the deployment was never replaced', async () => {
  const model = modelRunning('1.0.0');
  const ending = await deployed(model, { processes: () => [started(100)], shows: () => undefined });
  expect(ending.state).toBe('rolled-back');
});

test('a version that is current but does not run is deployed again, not taken as running', async () => {
  const model = modelRunning('1.1.0');
  let shown = '1.0.0';
  const shows: Shows = () => {
    if (model.starts.length > 0) shown = '1.1.0';
    return shown;
  };
  const order = orderOf('1.1.0');
  model.releases.set('1.1.0', order.artifacts);
  const ending = await deployed(model, { shows }, order);
  expect(ending).toMatchObject({ state: 'succeeded', changed: true });
  expect(model.starts).toEqual(['1.1.0']);
});
