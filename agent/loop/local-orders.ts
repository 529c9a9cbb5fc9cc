import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { isOutdated, type LocalOrder, orderFromLocal } from '../deploy/local-order.ts';
import { hasEnded } from '../deploy/state.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import { repeatedly } from './repeat.ts';

/** Orders given on the instance itself, which stay where they lie until they are removed. */
export interface LocalOrders {
  pending(): Promise<LocalOrder[]>;
  remove(deployment: string): Promise<void>;
  /** Resolves when something may have come, after `ms` at the latest. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
}

/** ms */
const LOOK_EVERY = 3000;

/** Journals each order, like an announcement, and removes it once its ending is in the journal. */
export async function takeLocalOrders(
  parts: { local: LocalOrders; workers: ReadonlyMap<string, ServiceWorker>; clock: Clock; log: Log },
  stopping: AbortSignal,
): Promise<void> {
  const { local, workers, clock, log } = parts;
  const unknown = new Set<string>();

  async function take(asked: LocalOrder): Promise<void> {
    const { deployment, service, version, action, by } = asked;
    const worker = workers.get(service);
    if (!worker) {
      const hint = 'if it was added to the config, systemctl restart trigger-deploy-agent';
      if (!unknown.has(deployment))
        log.error({ deployment, service, hint }, 'a local order for no service of mine');
      unknown.add(deployment);
      return;
    }
    const state = worker.state();
    if (asked.instance !== undefined && asked.instance !== state.instance) {
      log.warn({ deployment, service, from: asked.instance }, 'a local order of another instance is dropped');
      return await local.remove(deployment);
    }
    if (hasEnded(state, deployment)) return await local.remove(deployment);
    const underWay = [state.active?.order, state.waiting];
    if (underWay.some((order) => order?.deployment === deployment)) return;
    const order = orderFromLocal(state, asked);
    if (isOutdated(asked, clock.now())) {
      const message = `it was given at ${asked.at}, and an order is carried out within an hour or not at all`;
      return await worker.refuse(order, 'rejected', { code: 'EXPIRED', message });
    }
    log.info({ deployment, service, version, by }, `local ${action}`);
    await worker.accept(order);
  }

  await repeatedly({ clock, log }, stopping, 'taking local orders', async (signal) => {
    for (const asked of await local.pending()) await take(asked);
    await local.changed(LOOK_EVERY, signal);
    return 0;
  });
}
