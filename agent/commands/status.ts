import { messageOf } from '../../shared/errors.ts';
import type { ServiceState } from '../deploy/state.ts';
import type { Wiring } from './wiring.ts';

/** `trigger-deploy-agent status`: what this instance runs, from its own journal, without AWS. */

export interface ServiceStatusRow {
  service: string;
  /** What `current` points at. */
  version: string | null;
  /** What the service manager says. */
  unit: string;
  lastDeployment: string | null;
  state: string | null;
  at: string | null;
  pinned: boolean;
  /** Reports that have not reached the record yet. */
  undelivered: number;
}

/** ms */
const WITHIN = 10_000;

export async function status(wiring: Wiring): Promise<ServiceStatusRow[]> {
  const signal = AbortSignal.timeout(WITHIN);
  return await Promise.all(
    Object.keys(wiring.config.services).map(async (name) => {
      const state = await wiring.stateOf(name);
      const version = await wiring.packageOf(name).current();
      const unit = await wiring
        .managerOf(name)
        .status(signal)
        .then((found) => found.summary)
        .catch(messageOf);
      return statusRow(name, { state, version, unit });
    }),
  );
}

export function statusRow(
  service: string,
  found: { state: ServiceState | undefined; version: string | null; unit: string },
): ServiceStatusRow {
  const { state, version, unit } = found;
  const last = state?.endings.at(-1)?.report;
  const active = state?.active;
  return {
    service,
    version,
    unit,
    lastDeployment: active?.order.deployment ?? last?.deployment ?? null,
    state: active?.state ?? last?.state ?? null,
    at: active ? new Date(active.startedAt).toISOString() : (last?.at ?? null),
    pinned: state !== undefined && state.pinned !== null,
    undelivered: state?.outbox.length ?? 0,
  };
}

export function formatStatus(rows: readonly ServiceStatusRow[]): string {
  const head = ['SERVICE', 'VERSION', 'UNIT', 'LAST', 'DEPLOYMENT', 'SINCE', ''];
  const table = [
    head,
    ...rows.map((row) => [
      row.service,
      row.version ?? '-',
      row.unit,
      row.state ?? '-',
      row.lastDeployment ?? '-',
      row.at ?? '-',
      [row.pinned ? 'PINNED' : '', row.undelivered > 0 ? `${row.undelivered} reports undelivered` : '']
        .filter((mark) => mark !== '')
        .join(', '),
    ]),
  ];
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
