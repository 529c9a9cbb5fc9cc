import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Report } from '../../shared/report.ts';
import { type Fleet, startFleet } from '../support/fleet/fleet.ts';
import type { Behaviour } from '../support/fleet/sample-service/package.ts';
import { openSetup, type Setup } from '../support/fleet/setup.ts';
import { proved } from '../support/reliability.ts';
import {
  expectHooksRanOnce,
  goOn,
  isIn,
  startDeploy,
  startsOf,
  stopAgent,
} from './support/fleet/restarts.ts';
import { addServices, close, deploy, open, reached, remove, type Service } from './support/fleet/services.ts';
import { ask, expectSettled } from './support/fleet/settled.ts';
import { type RecordWatch, watchRecord } from './support/publisher/record-watch.ts';

/**
 * The agent is stopped by SIGTERM in every state of a deployment that the publisher follows all the while, and started
 * again. Gates in hooks and start commands, and what the agent logs, say when; not clocks.
 */

// On a machine that does much else, patience and no assertion.
vi.setConfig({ testTimeout: 240_000 });

let fleet: Fleet;
let watch: RecordWatch;
let setup: Setup;
let services: Record<'payments' | 'watched' | 'undone' | 'impatient', Service>;
let payments: Service;

beforeAll(async () => {
  fleet = await startFleet();
  watch = watchRecord(fleet.cloud);
  const hooks = { beforeStop: ['drain', 'log-out'], afterStart: ['undrain'] };
  const manager = { startTimeout: '30s' };
  services = await addServices(fleet, 'i-0a1', {
    payments: { hooks, manager },
    watched: { hooks, manager, watch: '4s' },
    impatient: { hooks, manager, hookTimeout: '5s' },
    undone: { hooks, manager, check: { deadline: '10s' } },
  });
  ({ payments } = services);
  await mkdir(services.undone.dir, { mode: 0o755 });
  setup = await openSetup(fleet);
  await Promise.all(
    Object.values(services).map(async (service) => {
      if (service !== services.undone) await setup.deployed(service.name, '1.0.0');
      else await setup.pushed(service.name, '1.0.0', { healthyWithFile: 'licence' });
    }),
  );
}, 600_000);
afterAll(async () => {
  setup?.close();
  await fleet?.stop();
});

/** Stops the agent while its hook waits at its gate, and opens the gate once the stop is under way. */
async function stopInHook<T>(
  service: Service,
  gate: string,
  stop: (service: Service) => Promise<T>,
): Promise<T> {
  const stopping = service.instance.agent?.line((line) =>
    line.includes('stopping: every deployment saves a checkpoint'),
  );
  const stopped = stop(service);
  await stopping;
  await open(service, gate);
  return await stopped;
}

let pushed = 0;
/** The next version, pushed. */
async function nextVersion(service: Service, behaviour: Behaviour = {}): Promise<string> {
  pushed += 1;
  const version = `2.${pushed}.0`;
  await setup.pushed(service.name, version, behaviour);
  return version;
}

async function expectSucceeded(service: Service, report: Report, version: string): Promise<void> {
  expect(report, JSON.stringify(report)).toMatchObject({ state: 'succeeded', version });
  await expectHooksRanOnce(service, report, ['drain', 'log-out', 'undrain']);
  await expectSettled(service, { version, watch });
}

describe('an agent that is stopped', () => {
  test('while it downloads goes on with the download when it is back', async () => {
    const version = await nextVersion(payments);
    const isArchive = ({ operation, key }: { operation: string; key?: string }) =>
      operation === 'GetObject' &&
      key?.startsWith(`artifacts/payments/${version}/`) &&
      key.endsWith('.tar.gz');
    // S3 has enough of it: the agent waits and tries again, until it is stopped in between.
    let away = true;
    fleet.cloud.fail('unavailable', (one) => away && isArchive(one) === true, Number.POSITIVE_INFINITY);
    const publisher = startDeploy(payments, version);
    await fleet.cloud.until((one) => isArchive(one) === true && one.status === 503);
    expect(await stopAgent(payments)).toMatchObject({ state: 'preparing', direction: 'forward' });
    away = false;
    await expectSucceeded(payments, await goOn(payments, publisher), version);
    proved('restart', 'preparing: stopped between two tries of a download');
  });

  test('in a hook waits for the hook, and begins no other', async () => {
    const version = await nextVersion(payments);
    await close(payments, 'drain');
    const publisher = startDeploy(payments, version);
    await reached(payments, 'drain');
    expect(await stopInHook(payments, 'drain', stopAgent)).toMatchObject({
      state: 'draining',
      hooksDone: { beforeStop: 1 },
    });
    expect(await ask(payments)).toBeDefined();
    await expectSucceeded(payments, await goOn(payments, publisher), version);
    proved('restart', 'draining: the hook under way was waited for, and not run again');
  });

  test('in a hook that does not end ends it when its time is over, and runs it anew', async () => {
    const { impatient } = services;
    const version = await nextVersion(impatient);
    await close(impatient, 'drain');
    await writeFile(join(impatient.dir, 'deaf'), '');
    const publisher = startDeploy(impatient, version);
    await reached(impatient, 'drain');
    expect(await stopAgent(impatient)).toMatchObject({ state: 'draining', hooksDone: { beforeStop: 0 } });
    await remove(impatient, 'deaf');
    await open(impatient, 'drain');
    await expectSucceeded(impatient, await goOn(impatient, publisher), version);
    proved('restart', 'draining: a deaf hook was killed at its timeout, then ran again, alone');
  });

  test('between the launch of a service and the note of its pid lets the start finish, and makes no second', async () => {
    const version = await nextVersion(payments);
    const before = await startsOf(payments);
    await close(payments, 'start-after');
    const publisher = startDeploy(payments, version);
    await reached(payments, 'start-after');
    const stopping = payments.instance.agent?.line((line) =>
      line.includes('stopping: every deployment saves a checkpoint'),
    );
    const stopped = stopAgent(payments);
    await stopping;
    await open(payments, 'start-after');
    expect(await stopped).toMatchObject({ state: 'starting', direction: 'forward' });
    await expectSucceeded(payments, await goOn(payments, publisher), version);
    expect(await startsOf(payments)).toBe(before + 1);
    proved('restart', 'starting: the start finished, and was not made again');
  });

  test('in a start that does not end ends it, and makes it anew when it is back', async () => {
    const version = await nextVersion(payments);
    const before = await startsOf(payments);
    await close(payments, 'start-before');
    const publisher = startDeploy(payments, version);
    await reached(payments, 'start-before');
    expect(await stopAgent(payments)).toMatchObject({ state: 'starting', direction: 'forward' });
    await open(payments, 'start-before');
    await expectSucceeded(payments, await goOn(payments, publisher), version);
    expect(await startsOf(payments)).toBe(before + 1);
    proved('restart', 'starting: a start that hung was ended and made again');
  });

  test('while it checks gives no verdict, and checks on when it is back', async () => {
    const version = await nextVersion(payments, { healthyWithFile: 'warm' });
    const before = await startsOf(payments);
    const publisher = startDeploy(payments, version);
    await isIn(payments, { version, state: 'checking', direction: 'forward' });
    expect(await stopAgent(payments)).toMatchObject({ state: 'checking', direction: 'forward' });
    await writeFile(join(payments.dir, 'warm'), '');
    await expectSucceeded(payments, await goOn(payments, publisher), version);
    expect(await startsOf(payments)).toBe(before + 1);
    proved('restart', 'checking: checked on, with no second start');
  });

  test('in the watch period checks and watches anew when it is back', async () => {
    const { watched } = services;
    const version = await nextVersion(watched);
    const publisher = startDeploy(watched, version);
    await isIn(watched, { version, state: 'watching', direction: 'forward' });
    expect(await stopAgent(watched)).toMatchObject({ state: 'watching', direction: 'forward' });
    const report = await goOn(watched, publisher);
    await expectSucceeded(watched, report, version);
    // What it had watched before the stop does not shorten the period.
    expect(report.timings.watch).toBeGreaterThanOrEqual(4000);
    proved('restart', 'watching: the whole period again');
  });

  test('in the last hook ends the deployment first, and reports it after the restart', async () => {
    const version = await nextVersion(payments);
    await close(payments, 'undrain');
    const publisher = startDeploy(payments, version);
    await reached(payments, 'undrain');
    await stopInHook(payments, 'undrain', (service) => fleet.stopAgent(service.instance));
    await expectSucceeded(payments, await goOn(payments, publisher), version);
    proved('restart', 'commit: the hook under way was waited for, and not run again');
  });
});

test('an agent that is stopped twice in a rollback, in its check and in its hook, goes on backwards each time', async () => {
  const { undone } = services;
  await writeFile(join(undone.dir, 'licence'), '');
  await deploy(undone, '1.0.0');
  await remove(undone, 'licence');
  const version = await nextVersion(undone, { healthStatus: 500 });
  await close(undone, 'undrain');
  const publisher = startDeploy(undone, version);
  await isIn(undone, { version, state: 'checking', direction: 'back' });
  const backwards = { state: 'checking', direction: 'back', previous: '1.0.0' };
  expect(await stopAgent(undone)).toMatchObject({ ...backwards, hooksDone: { afterStart: 0 } });
  await writeFile(join(undone.dir, 'licence'), '');
  await fleet.startAgent(undone.instance);
  await reached(undone, 'undrain');
  await stopInHook(undone, 'undrain', (service) => fleet.stopAgent(service.instance));
  const report = await goOn(undone, publisher);
  expect(report, JSON.stringify(report)).toMatchObject({ state: 'rolled-back', previous: '1.0.0' });
  expect(report.error?.code).toBe('CHECK_FAILED');
  await expectHooksRanOnce(undone, report, ['drain', 'log-out', 'undrain']);
  await expectSettled(undone, { version: '1.0.0', watch });
  proved('restart', 'rolling back: stopped twice, went on backwards');
});
