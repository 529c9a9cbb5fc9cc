import type { Report } from '../../shared/report.ts';
import { STEPS } from '../../shared/states.ts';
import type { ServiceValues, Snapshot } from './metrics.ts';

/**
 * The values as documents of CloudWatch's embedded metric format. Pure. Amazon CloudWatch User Guide, "Specification: Embedded metric
 * format". Each combination of dimensions is a metric that is paid for, so the dimensions are environment, service and ending only; the
 * instance and the deployment are members without being dimensions, for queries.
 */

export interface EmfPlace {
  namespace: string;
  /** For the CloudWatch agent only; a line of a log has its group already. */
  logGroup: string | undefined;
}

interface Directive {
  dimensions: string[];
  /** The values by name; the unit of those that end in `Seconds` is seconds, that of the others a count. */
  metrics: Record<string, number>;
}

/** The document of a deployment that ended. @param now ms since the epoch. */
export function endingDocument(place: EmfPlace, report: Report, now: number): string {
  const steps = STEPS.flatMap((step) => {
    const ms = report.timings[step];
    return ms === undefined ? [] : [[`${step.charAt(0).toUpperCase()}${step.slice(1)}Seconds`, ms / 1000]];
  });
  const directives: Directive[] = [
    { dimensions: ['Environment', 'Service', 'Ending'], metrics: { Deployments: 1 } },
    { dimensions: ['Environment', 'Service'], metrics: Object.fromEntries(steps) },
  ];
  const { env, service, state, instance, deployment, version, sequence, error } = report;
  return document(place, now, directives, {
    ...{ Environment: env, Service: service, Ending: state },
    ...{ Instance: instance, Deployment: deployment, Version: version, Sequence: sequence },
    ...(error && { Error: error.code }),
  });
}

/** What happened since the documents before. */
export interface Since {
  refused: number;
  /** The age of the oldest message that was received; undefined if there was none. */
  oldestMessageSeconds: number | undefined;
}

/**
 * The documents of what is true now: one of the agent with the highest value of all its services, and one for each service of which a
 * value is not 0. So an agent whose services are all well writes one line.
 */
export function stateDocuments(place: EmfPlace, values: Snapshot, since: Since, now: number): string[] {
  const { env, instance, agentVersion } = values.agent;
  const all = [...values.services].map(([service, of]) => [service, stateOf(of)] as const);
  const names = ['DriftSeconds', 'WaitingSeconds', 'OutboxAgeSeconds', 'Broken'] as const;
  const highest = names.map((name) => [name, Math.max(0, ...all.map(([, metrics]) => metrics[name]))]);
  const about = { Environment: env, Instance: instance, AgentVersion: agentVersion };
  const { refused, oldestMessageSeconds } = since;
  const metrics = {
    Agents: 1,
    ...Object.fromEntries(highest),
    Notices: Number(values.isNoticed),
    RefusedAnnouncements: refused,
    ...(oldestMessageSeconds === undefined ? {} : { AnnouncementAgeSeconds: oldestMessageSeconds }),
  };
  const uneven = all.filter(([, of]) => names.some((name) => of[name] > 0));
  return [
    document(place, now, [{ dimensions: ['Environment'], metrics }], about),
    ...uneven.map(([service, metrics]) =>
      document(place, now, [{ dimensions: ['Environment', 'Service'], metrics }], {
        ...about,
        Service: service,
      }),
    ),
  ];
}

const stateOf = ({ driftSeconds, waitingSeconds, outboxSeconds, isBroken }: ServiceValues) => ({
  DriftSeconds: driftSeconds,
  WaitingSeconds: waitingSeconds,
  OutboxAgeSeconds: outboxSeconds,
  Broken: Number(isBroken),
});

/** One line of JSON, without its line feed. */
function document(
  { namespace, logGroup }: EmfPlace,
  now: number,
  directives: readonly Directive[],
  members: Record<string, unknown>,
): string {
  const given = directives.filter(({ metrics }) => Object.keys(metrics).length > 0);
  return JSON.stringify({
    _aws: {
      Timestamp: Math.round(now),
      ...(logGroup === undefined ? {} : { LogGroupName: logGroup }),
      CloudWatchMetrics: given.map(({ dimensions, metrics }) => ({
        Namespace: namespace,
        Dimensions: [dimensions],
        Metrics: Object.keys(metrics).map((Name) => ({
          Name,
          Unit: Name.endsWith('Seconds') ? 'Seconds' : 'Count',
        })),
      })),
    },
    ...members,
    ...Object.assign({}, ...given.map(({ metrics }) => metrics)),
  });
}
