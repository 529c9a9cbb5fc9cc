import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalOrders } from '../../../agent/loop/ports.ts';

/** A host without local orders. */
export const NO_ORDERS: LocalOrders = {
  pending: async () => [],
  remove: async () => undefined,
  changed: (ms, signal) => sleep(ms, undefined, { signal }),
};
