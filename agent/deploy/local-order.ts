import type { Artifact } from '../../shared/manifest.ts';
import type { Order, ServiceState } from './state.ts';

/** What was asked for on the instance itself: `trigger-deploy-agent deploy` or `rollback`. */
export interface LocalOrder {
  deployment: string;
  service: string;
  version: string;
  action: 'deploy' | 'rollback';
  artifacts: readonly Artifact[];
  /** The user who gave it. */
  by: string;
  at: string;
  /** For whom it is, where that was known. */
  instance?: string | undefined;
}

/** As long as the longest expiry of an announcement: what nobody took by then nobody expects any more, ms. */
export const LOCAL_EXPIRY_MS = 60 * 60 * 1000;

/**
 * It has the sequence that was seen, so it raises none: the next announcement has a higher one, and wins. Pure.
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

/** Whether it lay there for so long that it is not carried out any more; `now` in ms since the epoch. */
export function isOutdated(local: LocalOrder, now: number): boolean {
  return now - Date.parse(local.at) > LOCAL_EXPIRY_MS;
}
