import type { ServiceValues, Snapshot, Total } from './metrics.ts';

/**
 * The values in Prometheus' text format. Pure. "Exposition formats", version 0.0.4: a HELP and a TYPE line before the samples of a
 * metric, all samples of a metric together, each line ends in a line feed. The labels are names of services, endings, steps and error
 * codes: as many as the config and the program have.
 */

/** The Content-Type of the text. */
export const TEXT_FORMAT = 'text/plain; version=0.0.4; charset=utf-8';

type Labels = Readonly<Record<string, string>>;
/** `suffix` is `_sum` or `_count` of a summary. */
type Sample = [labels: Labels, value: number, suffix?: string];
type Type = 'counter' | 'gauge' | 'summary';

export function exposition(values: Snapshot): string {
  const { agent, services } = values;
  const perService = (value: (of: ServiceValues) => number): Sample[] =>
    [...services].map(([service, of]) => [{ service }, value(of)]);
  const { env, instance, agentVersion: version } = agent;
  return [
    metric('agent_info', 'gauge', 'The agent; always 1.', [[{ env, instance, version }, 1]]),
    metric('start_time_seconds', 'gauge', 'When the agent started, since the epoch.', [
      [{}, values.startedAt / 1000],
    ]),
    metric(
      'deployments_total',
      'counter',
      'Deployments by ending, since the agent started.',
      [...services].flatMap(([service, { endings }]) =>
        Object.entries(endings).map(([ending, count]): Sample => [{ service, ending }, count]),
      ),
    ),
    metric(
      'step_seconds',
      'summary',
      'Time in each step of the deployments that ended.',
      [...services].flatMap(([service, { steps }]) =>
        Object.entries(steps).flatMap(([step, total]) => summary({ service, step }, total)),
      ),
    ),
    metric('announcement_age_seconds', 'summary', 'Age of messages when the agent received them.', [
      ...summary({}, values.messages),
    ]),
    metric(
      'announcements_refused_total',
      'counter',
      'Announcements that were refused, by error code.',
      [...values.refused].map(([code, count]): Sample => [{ code }, count]),
    ),
    ...(values.receivedAt === undefined
      ? []
      : [
          metric(
            'last_receive_timestamp_seconds',
            'gauge',
            'When the queue last answered, since the epoch.',
            [[{}, values.receivedAt / 1000]],
          ),
        ]),
    metric(
      'drift_seconds',
      'gauge',
      'For how long the desired state differs from what runs; 0 when it does not.',
      perService(({ driftSeconds }) => driftSeconds),
    ),
    metric(
      'waiting_seconds',
      'gauge',
      'For how long the next deployment waits for the current one; 0 when none waits.',
      perService(({ waitingSeconds }) => waitingSeconds),
    ),
    metric(
      'outbox_age_seconds',
      'gauge',
      'Age of the oldest report that is not in the record yet; 0 when there is none.',
      perService(({ outboxSeconds }) => outboxSeconds),
    ),
    metric(
      'outbox_reports',
      'gauge',
      'Reports that are not in the record yet.',
      perService(({ outboxReports }) => outboxReports),
    ),
    metric(
      'deploying',
      'gauge',
      'Whether a deployment is under way.',
      perService(({ isDeploying }) => Number(isDeploying)),
    ),
    metric(
      'broken',
      'gauge',
      'Whether no known-good version runs since a failed rollback.',
      perService(({ isBroken }) => Number(isBroken)),
    ),
    metric('notice', 'gauge', 'Whether the instance is about to be terminated.', [
      [{}, Number(values.isNoticed)],
    ]),
  ].join('');
}

function metric(name: string, type: Type, help: string, samples: readonly Sample[]): string {
  const full = `trigger_deploy_${name}`;
  const lines = samples.map(([labels, value, suffix = '']) => `${full}${suffix}${textOf(labels)} ${value}\n`);
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${lines.join('')}`;
}

const summary = (labels: Labels, { sum, count }: Total): Sample[] => [
  [labels, sum, '_sum'],
  [labels, count, '_count'],
];

function textOf(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escaped = (value: string) =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
