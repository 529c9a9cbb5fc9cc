import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import type { MetricsConfig } from './config-metrics.ts';
import type { DesiredStates } from './deploy/converge.ts';
import type { Identity } from './deploy/ports.ts';
import { createEmfOutput, toCloudWatchAgent, toLog } from './metrics/emf-output.ts';
import { serveMetrics } from './metrics/endpoint.ts';
import { createMetrics, type Metrics } from './metrics/metrics.ts';

/** The metrics of `metrics:` in agent.yaml: what is observed, and where it goes. It is loaded only if the config has it. */
export interface WiredMetrics extends Metrics {
  /** Writes and serves until `stopping` aborts. Never throws. */
  run(stopping: AbortSignal): Promise<void>;
}

export function wireMetrics(
  { emf, namespace, logGroup, prometheus }: MetricsConfig,
  parts: {
    services: readonly string[];
    identity: Identity;
    desired: Pick<DesiredStates, 'known'>;
    clock: Clock;
    log: Log;
  },
): WiredMetrics {
  const { clock, log, services, identity, desired } = parts;
  const toAgent = emf === 'cloudwatch-agent';
  const place = { namespace, logGroup: toAgent ? logGroup : undefined };
  const output = emf && createEmfOutput(place, clock, toAgent ? toCloudWatchAgent() : toLog);
  const metrics = createMetrics({
    ...{ services, identity, clock, desired: desired.known },
    onEnding: output?.ending,
    onMessage: output?.message,
  });
  return {
    ...metrics,
    async run(stopping) {
      await Promise.all([
        output?.run(metrics.read, stopping),
        prometheus && serveMetrics({ address: prometheus, read: metrics.read, clock, log }, stopping),
      ]);
    },
  };
}
