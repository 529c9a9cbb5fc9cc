import type { HistoryView, PauseChangeView } from '../../console/api.ts';
import type { PastDeployment } from '../../record/local-deployment.ts';

/** The rows of the history: deployments, and the pauses between them, the newest first. Pure. */

export type HistoryRow =
  | { kind: 'deployment'; at: number; deployment: PastDeployment }
  | { kind: 'pause'; at: number; pause: PauseChangeView };

/** The rows of pages that follow each other. A deployment that is in two pages is one row. */
export function rowsOf(pages: readonly HistoryView[]): HistoryRow[] {
  const rows = new Map<string, HistoryRow>();
  for (const { deployments, pauses } of pages) {
    for (const deployment of deployments) {
      const at = Date.parse(deployment.announcedAt);
      rows.set(deployment.deployment, { kind: 'deployment', at, deployment });
    }
    for (const pause of pauses) {
      const { env, service, at, paused } = pause;
      rows.set(`${env} ${service} ${at} ${paused}`, { kind: 'pause', at, pause });
    }
  }
  return [...rows.values()].sort((a, b) => b.at - a.at);
}

const FILTERS = ['env', 'service', 'since', 'only'] as const;

/** The question of an address: what is not a filter, or cannot be one, is left out. */
export function questionOf(query: URLSearchParams): URLSearchParams {
  const known = FILTERS.flatMap((name) => {
    const value = query.get(name)?.slice(0, 64);
    return value ? [[name, value] as const] : [];
  });
  const wanted = known.filter(([name, value]) => name !== 'only' || value === 'failed');
  return new URLSearchParams(Object.fromEntries(wanted));
}
