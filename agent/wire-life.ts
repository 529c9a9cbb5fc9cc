import type { Aws } from '../shared/aws.ts';
import type { Clock } from '../shared/clock.ts';
import type { Log } from '../shared/log.ts';
import { createLifecycleActions } from './aws/auto-scaling.ts';
import { openMetadata } from './aws/metadata-session.ts';
import { createNoticeReader } from './aws/notices.ts';
import type { AgentConfig } from './config.ts';
import type { DesiredReader } from './deploy/converge.ts';
import { leftRecord } from './deploy/left-record.ts';
import type { Host, Identity, Reporter } from './deploy/ports.ts';
import type { ServiceWorker } from './deploy/worker.ts';
import { createLifeFile } from './host/state/life-file.ts';
import { createGate, type Gate } from './life/gate.ts';
import { openLife } from './life/life.ts';
import { lifeState } from './life/life-state.ts';

/** Joins the adapters of the life of an instance. Loaded only if agent.yaml has `lifecycle`. */

export interface WiredLife {
  gate: Omit<Gate, 'set'>;
  /** To be called before the workers run. The result runs until `stopping` aborts. */
  open(parts: {
    workers: ReadonlyMap<string, ServiceWorker>;
    desired: DesiredReader;
    /** Through the gate. */
    reporter: Reporter;
  }): Promise<(stopping: AbortSignal) => Promise<void>>;
}

export function wireLife(
  config: AgentConfig,
  lifecycle: NonNullable<AgentConfig['lifecycle']>,
  parts: {
    aws: Aws;
    identity: Identity;
    queue: { leave(signal: AbortSignal): Promise<void> };
    /** Not through the gate: it writes that the instance has left. */
    reporter: Pick<Reporter, 'putInstance'>;
    host: Host;
    show: (text: string | undefined) => void;
    clock: Clock;
    log: Log;
  },
): WiredLife {
  const { aws, identity, queue, reporter, host, show, clock, log } = parts;
  const { spot, within, autoScaling } = lifecycle;
  const { instance } = identity;
  const gate = createGate();
  return {
    gate,
    async open({ workers, desired, reporter: gated }) {
      const session = openMetadata(process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT || undefined);
      const run = await openLife({
        ...{ instance, workers, gate, desired, host, show, clock, log, reporter: gated },
        notices: createNoticeReader(session, { spot, autoScaling: autoScaling !== undefined }),
        store: createLifeFile(config.state, lifeState.parse),
        async leave(signal) {
          await queue.leave(signal);
          const services = [...workers.keys()];
          await Promise.all(
            services.map((service) =>
              reporter.putInstance(leftRecord(identity, service, clock.now()), signal),
            ),
          );
        },
        actions: createLifecycleActions({ aws, instance, group: autoScaling?.group }),
        settings: {
          ...{ within, launchHook: autoScaling?.launchHook, terminateHook: autoScaling?.terminateHook },
          launchWithin: autoScaling?.launchWithin ?? within,
          onFailedLaunch: autoScaling?.onFailedLaunch ?? 'wait',
        },
      });
      return async (stopping) => {
        try {
          await run(stopping);
        } finally {
          session.close();
        }
      };
    },
  };
}
