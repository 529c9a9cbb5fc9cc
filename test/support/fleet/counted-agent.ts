import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { createAgentQueue, isQueueGone } from '../../../agent/aws/queue.ts';
import { createReporter } from '../../../agent/aws/reporter.ts';
import { createArtifactStore, createChangesStore, createDesiredStore } from '../../../agent/aws/s3-stores.ts';
import { createDesiredReader } from '../../../agent/deploy/converge.ts';
import { openWorker } from '../../../agent/deploy/worker.ts';
import { createArchivePackage } from '../../../agent/host/releases/archive.ts';
import { createJarPackage } from '../../../agent/host/releases/jar.ts';
import { runAgent } from '../../../agent/loop/agent.ts';
import type { Aws } from '../../../shared/aws.ts';
import type { Clock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { clientsOf } from '../cloud/clients.ts';
import { instanceKey, userIdOf } from '../cloud/sqs.ts';
import { heldClock } from '../host/clock.ts';
import { temporaryDirectory } from '../host/temporary.ts';
import type { Stage } from '../publisher/stage.ts';
import { createFakePorts, createModel, IDENTITY, serviceConfig } from './fake-ports.ts';
import { NO_HEARTBEAT } from './no-heartbeat.ts';
import { NO_NOTIFIER } from './no-notifier.ts';
import { NO_ORDERS } from './no-orders.ts';

/** The package types whose packages this agent really prepares. */
export type CountedType = 'archive' | 'jar';

/**
 * Starts an agent in this process: its own loop, adapters of AWS and package type, and a service in memory. No time
 * passes for it: what it asks of AWS follows from what it is told, and not from how fast the machine is.
 */
export async function startCountedAgent(stage: Stage, instance: string, type: CountedType): Promise<void> {
  const { cloud, bucket, env } = stage;
  const clients = clientsOf(cloud, instanceKey(instance), 4);
  const aws = { ...clients, now: Date.now } as unknown as Aws;
  const log = silentLog();
  const userId = async () => userIdOf(instance);
  const clock = timeless();
  const identity = { ...IDENTITY, env: env.name, instance };
  const options = { aws, bucket, env: env.name };
  const reporter = createReporter({ aws, bucket, clock, log, userId });
  const model = createModel();
  const ports = createFakePorts(model);
  const create = type === 'jar' ? createJarPackage : createArchivePackage;
  const releases = create({
    ...{ service: 'payments', dir: join(await temporaryDirectory(), 'payments'), keep: 3 },
    store: createArtifactStore({ aws, bucket }),
  });
  // The service in memory has no program to look at.
  const { look: _look, ...withoutLook } = releases;
  const worker = await openWorker({
    ...{ service: serviceConfig(), identity, log },
    ports: {
      ...ports,
      reporter,
      package: {
        ...withoutLook,
        async switchTo(version) {
          await releases.switchTo(version);
          model.current = version;
        },
      },
    },
  });
  const verifier = await (await stage.open()).verifier();
  const stopping = new AbortController();
  const running = runAgent(
    {
      ...{ identity, isQueueGone, verifier, reporter, clock, log },
      workers: new Map([['payments', worker]]),
      inbox: createAgentQueue({ aws, env: env.name, instance, topic: env.topic, log, userId }),
      local: { ...NO_ORDERS, changed: (_ms, signal) => clock.sleep(1, signal).catch(() => undefined) },
      desired: createDesiredReader(createDesiredStore(options), verifier, env.name),
      changes: createChangesStore(options),
      notifier: NO_NOTIFIER,
      heartbeat: NO_HEARTBEAT,
    },
    stopping.signal,
  );
  onTestFinished(async () => {
    stopping.abort(new Error('stopped'));
    await running;
    await reporter.close(0);
    clients.close();
  });
}

/** A clock that stands still: only a pause of no time ends. */
function timeless(): Clock {
  const { clock } = heldClock();
  return {
    ...clock,
    now: Date.now,
    sleep: async (ms, signal) => (ms > 0 ? await clock.sleep(ms, signal) : signal.throwIfAborted()),
  };
}
