import type { InstanceStatus, ServiceStatusRow } from './status.ts';

/** The status of an instance as text. Pure. */
export function formatStatus(status: InstanceStatus): string {
  const { env, instance, tags, agent, queue, notice, services } = status;
  const running = agent.running
    ? `agent ${agent.version} running since ${shortTime(agent.since)} (pid ${agent.pid})`
    : 'the agent is NOT running: systemctl start trigger-deploy-agent';
  const head = ['SERVICE', 'VERSION', 'UNIT', 'HEALTH', 'PREVIOUS', ''];
  const table = aligned([
    head,
    ...services.map((row) => [
      row.service,
      row.version ?? '-',
      row.unit,
      healthOf(row),
      row.previous ?? '-',
      row.pinned ? 'PINNED' : '',
    ]),
  ]);
  const [heading = '', ...rows] = table;
  return [
    `${instance ?? 'unknown instance'} in ${env} · ${running}`,
    ...tagsText(tags),
    queueText(queue),
    ...noticeLines(notice),
    '',
    heading,
    ...rows.flatMap((line, i) => [line, ...detailLines(services[i])]),
  ].join('\n');
}

function tagsText(tags: InstanceStatus['tags']): string[] {
  const all = Object.entries(tags).map(([key, value]) => `${key}=${value}`);
  return all.length === 0 ? [] : [`tags ${all.join(', ')}`];
}

function queueText({ name, reachable, trouble }: InstanceStatus['queue']): string {
  if (name === null) return 'queue unknown: the instance has no id yet';
  if (reachable === null) return `queue ${name} (not checked)`;
  return reachable ? `queue ${name} is reachable` : `queue ${name} is NOT reachable\n  ${trouble}`;
}

function noticeLines(notice: InstanceStatus['notice']): string[] {
  if (notice === null) return [];
  const at = notice.at === null ? '' : ` at ${shortTime(notice.at)}`;
  const left = notice.left ? '; the instance has left its environment' : '';
  return [`TERMINATING: ${notice.kind}${at}: no deployment begins${left}`];
}

function healthOf({ checks }: ServiceStatusRow): string {
  const failing = checks.filter((check) => !check.ok).length;
  if (checks.length === 0) return '-';
  return failing === 0 ? `${checks.length} ok` : `${failing} of ${checks.length} FAIL`;
}

function detailLines(row: ServiceStatusRow | undefined): string[] {
  if (!row) return [];
  const lines = row.trouble === null ? [] : [`  ${row.trouble}`];
  lines.push(...row.checks.filter((check) => !check.ok).map((check) => `  check: ${check.note}`));
  if (row.lastDeployment !== null) {
    lines.push(`  ${row.state} ${row.lastDeployment} ${shortTime(row.at)}`);
  }
  if (row.error) lines.push(`  ${row.error.code}: ${row.error.message}`);
  if (row.outOfTraffic.length > 0)
    lines.push(`  OUT OF TRAFFIC: ${row.outOfTraffic.map(groupName).join(', ')}`);
  const { undelivered } = row;
  if (undelivered > 0)
    lines.push(`  ${undelivered} ${undelivered === 1 ? 'report' : 'reports'} not delivered yet`);
  return lines;
}

/** The name within a target group's ARN. */
const groupName = (group: string) => group.split('/')[1] ?? group;

/** A time in UTC: `2026-11-21 08:14:02Z`. */
function shortTime(at: string | null): string {
  return at === null ? '-' : `${at.slice(0, 19).replace('T', ' ')}Z`;
}

function aligned(table: readonly string[][]): string[] {
  const [head = []] = table;
  const widths = head.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  return table.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
