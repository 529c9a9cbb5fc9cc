import type { Artifact } from '../../shared/manifest.ts';
import type { Order, ServiceState } from './state.ts';

/** An order given on the instance itself: `trigger-deploy-agent deploy` or `rollback`. */
export interface LocalOrder {
  deployment: string;
  service: string;
  version: string;
  action: 'deploy' | 'rollback';
  artifacts: readonly Artifact[];
  /** The user who gave the order. */
  by: string;
  at: string;
  /** The instance on which the order was given, if its id was known. */
  instance?: string | undefined;
}

/** A local order expires after this time, ms. An announcement expires after the same time at the latest. */
export const LOCAL_EXPIRY_MS = 60 * 60 * 1000;

/**
 * The order gets the highest sequence seen, so that the next announcement, with a higher one, takes precedence. Pure.
 */
export function orderFromLocal(state: ServiceState, local: LocalOrder): Order {
  return {
    deployment: local.deployment,
    service: local.service,
    sequence: Math.max(state.seen?.sequence ?? 0, state.running?.sequence ?? 0),
    version: local.version,
    action: local.action,
    artifacts: [...local.artifacts],
    source: 'local',
    by: local.by,
    hold: false,
  };
}

/** Whether the order has expired; `now` in ms since the epoch. */
export function isOutdated(local: LocalOrder, now: number): boolean {
  return now - Date.parse(local.at) > LOCAL_EXPIRY_MS;
}
