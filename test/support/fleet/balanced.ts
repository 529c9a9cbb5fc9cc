import { live } from './agent-life.ts';
import { hook, type Model, modelRunning, orderOf, serviceConfig } from './fake-ports.ts';

/** An instance behind a load balancer, with hooks that drain and undrain it. */

export const GROUP = 'group-1';

export const DRAINED = serviceConfig({
  hooks: { beforeStop: [hook('/drain')], afterStart: [hook('/undrain')] },
});

/** A model that runs 1.0.0 and is registered in `GROUP`. */
export function balanced(): Model {
  const model = modelRunning('1.0.0');
  model.groups = new Set([GROUP]);
  return model;
}

/** Deploys `version` in a new life; its ending, and the worker. */
export async function deployBalanced(model: Model, version: string, service = DRAINED) {
  const { worker, ending } = await live(model, service);
  const order = orderOf(version);
  await worker.accept(order);
  return { worker, ending: await ending(order.deployment) };
}
