import { describe, expect, onTestFinished, test } from 'vitest';
import type { LocalOrder } from '../../../../agent/deploy/local-order.ts';
import type { ServiceWorker } from '../../../../agent/deploy/worker.ts';
import { takeLocalOrders } from '../../../../agent/loop/local-orders.ts';
import { silentLog } from '../../../../shared/log.ts';
import { newUlid } from '../../../../shared/names.ts';
import { live } from '../../../support/fleet/agent-life.ts';
import {
  artifactsOf,
  createFakePorts,
  type Model,
  modelRunning,
  orderOf,
  serviceConfig,
} from '../../../support/fleet/fake-ports.ts';

/** The worker and its steps with an instance and a spool in memory. */

interface World {
  model: Model;
  worker: ServiceWorker;
  /** Puts an order into the spool and waits until it is removed. */
  ordered(version: string, more?: Partial<LocalOrder>): Promise<LocalOrder>;
  ended(deployment: string): Promise<void>;
}

async function world(model: Model): Promise<World> {
  const ports = createFakePorts(model);
  const { worker } = await live(model, serviceConfig(), ports);
  const stopping = new AbortController();
  const spool = new Map<string, LocalOrder>();
  const local = {
    pending: async () => [...spool.values()],
    remove: async (deployment: string) => void spool.delete(deployment),
    changed: async (ms: number, signal: AbortSignal) => ports.clock.sleep(Math.min(ms, 5), signal),
  };
  const parts = { local, workers: new Map([['payments', worker]]), clock: ports.clock, log: silentLog() };
  const taking = takeLocalOrders(parts, stopping.signal);
  onTestFinished(async () => {
    stopping.abort(new Error('over'));
    await taking;
  });
  return {
    model,
    worker,
    async ordered(version, more = {}) {
      const order: LocalOrder = {
        ...{ deployment: newUlid(Date.now()), service: 'payments', version, action: 'deploy', by: 'ada' },
        ...{ artifacts: artifactsOf(version), at: new Date().toISOString() },
        ...more,
      };
      spool.set(order.deployment, order);
      await expect.poll(() => spool.has(order.deployment)).toBe(false);
      return order;
    },
    async ended(deployment) {
      await expect.poll(() => worker.state().over.includes(deployment)).toBe(true);
    },
  };
}

const lastOf = ({ worker }: World) => worker.state().endings.at(-1)?.report;

describe('an order given on the instance', () => {
  test('is deployed, pins the service, and is reported with the user who gave it', async () => {
    const here = await world(modelRunning('1.0.0'));
    await here.worker.raise(7, newUlid(1));
    const { deployment } = await here.ordered('1.1.0');
    expect(here.model.running?.version).toBe('1.1.0');
    expect(here.worker.state()).toMatchObject({
      pinned: { version: '1.1.0' },
      running: { version: '1.1.0', sequence: 7, deployment },
      seen: { sequence: 7 },
    });
    await expect.poll(() => here.model.delivered.map(({ state }) => state)).toContain('succeeded');
    expect(here.model.delivered.at(-1)).toMatchObject({ deployment, local: { action: 'deploy', by: 'ada' } });
  });

  test('that fails does not pin, and keeps an earlier pin', async () => {
    const model = modelRunning('1.0.0');
    const here = await world(model);
    model.unhealthy.add('1.2.0');
    await here.ordered('1.2.0');
    expect(lastOf(here)?.state).toBe('rolled-back');
    expect(here.worker.state().pinned).toBeNull();
    await here.ordered('1.1.0');
    await here.ordered('1.2.0');
    expect(here.worker.state().pinned).toMatchObject({ version: '1.1.0' });
  });

  test('is unpinned by a later announcement, and does not pin after one', async () => {
    const here = await world(modelRunning('1.0.0'));
    await here.ordered('1.1.0');
    const announced = orderOf('1.2.0', { sequence: 9 });
    await here.worker.accept(announced);
    await here.ended(announced.deployment);
    expect(here.worker.state()).toMatchObject({ pinned: null, running: { version: '1.2.0', sequence: 9 } });
  });

  test('that is overtaken by an announcement while it runs leaves no pin', async () => {
    const model = modelRunning('1.0.0');
    const here = await world(model);
    const announced = orderOf('1.2.0', { sequence: 9 });
    model.before = async (call) => {
      if (call !== 'restart' || here.worker.state().waiting) return;
      model.before = () => undefined;
      await here.worker.accept(announced);
    };
    await here.ordered('1.1.0');
    await here.ended(announced.deployment);
    expect(here.worker.state()).toMatchObject({ pinned: null, running: { version: '1.2.0' } });
  });

  test('rolls back to an adopted release, which has no artifacts, and never creates a release without artifacts', async () => {
    const model = modelRunning('1.0.0');
    model.releases.set('legacy', []);
    const here = await world(model);
    await here.ordered('legacy', { action: 'rollback', artifacts: [] });
    expect(model.running?.version).toBe('legacy');
    await here.ordered('gone', { action: 'rollback', artifacts: [] });
    expect(lastOf(here)).toMatchObject({ state: 'failed', error: { code: 'RELEASE_INCOMPLETE' } });
    expect(model.releases.has('gone')).toBe(false);
  });

  test('to roll back reinstalls nothing, even after a failure of that version', async () => {
    const model = modelRunning('1.0.0');
    const here = await world(model);
    model.unhealthy.add('1.1.0');
    await here.ordered('1.1.0');
    model.unhealthy.clear();
    model.releases.set('1.1.0', artifactsOf('1.1.0'));
    model.downloads.length = 0;
    await here.ordered('1.1.0', { action: 'rollback' });
    expect(lastOf(here)?.state).toBe('succeeded');
    expect(model.downloads).toEqual([]);
  });

  test('more than an hour ago is rejected as expired', async () => {
    const here = await world(modelRunning('1.0.0'));
    const at = new Date(Date.now() - 61 * 60_000).toISOString();
    await here.ordered('1.1.0', { at });
    expect(lastOf(here)).toMatchObject({ state: 'rejected', error: { code: 'EXPIRED' } });
    expect(here.model.running?.version).toBe('1.0.0');
  });

  test('on another instance, of which this one is a copy, is removed', async () => {
    const here = await world(modelRunning('1.0.0'));
    const { deployment } = await here.ordered('1.1.0', { instance: 'i-2' });
    expect(here.worker.state().over).not.toContain(deployment);
    expect(here.model.running?.version).toBe('1.0.0');
  });
});
