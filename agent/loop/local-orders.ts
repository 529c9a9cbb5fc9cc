import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { isOutdated, type LocalOrder, orderFromLocal } from '../deploy/local-order.ts';
import { findOrder, hasEnded } from '../deploy/state.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import type { LocalOrders } from './ports.ts';
import { repeat } from './repeat.ts';

/** ms */
const LOOK_EVERY = 3000;

/**
 * Gives each local order to its worker, which journals it like an announcement. Removes an order after its ending is in
 * the journal, or if it was given on another instance. Runs until `stopping` aborts.
 */
export async function takeLocalOrders(
  parts: { local: LocalOrders; workers: ReadonlyMap<string, ServiceWorker>; clock: Clock; log: Log },
  stopping: AbortSignal,
): Promise<void> {
  const { local, workers, clock, log } = parts;
  const unknown = new Set<string>();

  async function take(localOrder: LocalOrder): Promise<void> {
    const { deployment, service, version, action, by } = localOrder;
    const worker = workers.get(service);
    if (!worker) {
      const hint = 'if the service is new in the config: systemctl restart trigger-deploy-agent';
      if (!unknown.has(deployment))
        log.error(
          { deployment, service, hint },
          'a local order names a service that this agent does not have',
        );
      unknown.add(deployment);
      return;
    }
    const state = worker.state();
    if (localOrder.instance !== undefined && localOrder.instance !== state.instance) {
      log.warn(
        { deployment, service, from: localOrder.instance },
        'removed a local order that was given on another instance',
      );
      return await local.remove(deployment);
    }
    if (hasEnded(state, deployment)) return await local.remove(deployment);
    if (findOrder(state, deployment)) return;
    const order = orderFromLocal(state, localOrder);
    if (isOutdated(localOrder, clock.now())) {
      const message = `the order was given at ${localOrder.at}; local orders expire after an hour`;
      return await worker.refuse(order, 'rejected', { code: 'EXPIRED', message });
    }
    log.info({ deployment, service, version, by }, `local ${action}`);
    await worker.accept(order);
  }

  await repeat({ clock, log }, stopping, 'taking local orders', async (signal) => {
    let failure: unknown;
    for (const localOrder of await local.pending()) {
      // An order that cannot be taken must not keep the ones after it.
      await take(localOrder).catch((error: unknown) => {
        failure ??= error;
      });
    }
    if (failure !== undefined) throw failure;
    await local.changed(LOOK_EVERY, signal);
    return 0;
  });
}
