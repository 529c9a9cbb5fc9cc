import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAgentQueue, isQueueGone } from '../../../../agent/aws/queue.ts';
import { createReporter } from '../../../../agent/aws/reporter.ts';
import {
  createArtifactStore,
  createChangesStore,
  createDesiredStore,
} from '../../../../agent/aws/s3-stores.ts';
import { createDesiredReader } from '../../../../agent/deploy/converge.ts';
import { type ServiceState, serviceState } from '../../../../agent/deploy/state.ts';
import { openWorker } from '../../../../agent/deploy/worker.ts';
import { UNREGISTERED } from '../../../../agent/host/process/command-registry.ts';
import { createArchivePackage } from '../../../../agent/host/releases/archive.ts';
import { createCommandManager } from '../../../../agent/host/services/command-manager.ts';
import { createHealthProbe } from '../../../../agent/host/services/health.ts';
import { createHookRunner } from '../../../../agent/host/services/hooks.ts';
import { createJournal } from '../../../../agent/host/state/journal.ts';
import { createHost } from '../../../../agent/host/system/host.ts';
import { createSystemdNotifier } from '../../../../agent/host/system/systemd-notify.ts';
import { runAgent } from '../../../../agent/loop/agent.ts';
import type { Inbox } from '../../../../agent/loop/ports.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { createAws } from '../../../../shared/aws.ts';
import type { Clock } from '../../../../shared/clock.ts';
import { silentLog } from '../../../../shared/log.ts';
import { agentQueueName } from '../../../../shared/names.ts';
import type { Verifier } from '../../../../shared/signing.ts';
import { signAs } from '../../../support/aws/fixture.ts';
import type { Cloud } from '../../../support/cloud/cloud.ts';
import { instanceKey, userIdOf } from '../../../support/cloud/sqs.ts';
import { BUCKET, ENV } from '../../../support/fleet/fleet.ts';
import { NO_HEARTBEAT } from '../../../support/fleet/no-heartbeat.ts';
import { NO_ORDERS } from '../../../support/fleet/no-orders.ts';
import { drained, SERVICE } from './by-hand.ts';

/**
 * The agent in this process: its own loop, steps, adapters and journal, a service that costs nothing, and a clock
 * that a test may put forward. `restart` is what SIGTERM and a new start are to the program.
 */
export interface LiveAgent {
  readonly dir: string;
  state(): ServiceState;
  /** Every announcement it took from its queue, in order, over all its starts. */
  readonly heard: readonly string[];
  /** Every ending it ever recorded, by deployment, as JSON: one that changes is another. */
  readonly endings: ReadonlyMap<string, ReadonlySet<string>>;
  start(): void;
  stop(): Promise<void>;
  /** Resolves with the first state, now or to come, that fits. */
  until(fits: (state: ServiceState) => boolean): Promise<ServiceState>;
  /** Resolves once its queue is empty, and nothing waits, runs on, or is to be reported. */
  settled(): Promise<ServiceState>;
  /** From now on its monotonic clock is so much further, ms, and what has slept as long wakes up. */
  putForward(ms: number): void;
}

export interface LiveAgentOptions {
  cloud: Cloud;
  /** The address of AWS comes from the process's own environment: `cloud.env()` has to be in it. */
  topic: string;
  instance: string;
  /** A directory of its own. */
  dir: string;
  verifier: Verifier;
}

export async function openLiveAgent(options: LiveAgentOptions): Promise<LiveAgent> {
  const { cloud, topic, instance, dir, verifier } = options;
  await mkdir(dir, { recursive: true });
  const queueName = agentQueueName(ENV, instance);
  const identity = { env: ENV, instance, zone: undefined, agentVersion: 'test' };
  const log = silentLog();
  const aws = createAws({ region: cloud.region, pathStyle: true });
  signAs(aws, instanceKey(instance));
  const { clock, putForward } = jumpingClock(() => aws.now());
  const watchers = new Set<() => void>();
  const heard: string[] = [];
  const endings = new Map<string, Set<string>>();
  const fine = ['/bin/true'];

  async function openService() {
    const journal = createJournal({
      path: join(dir, 'state', `${SERVICE}.journal`),
      parse: (value) => serviceState.parse(value),
    });
    const reporter = createReporter({
      ...{ aws, bucket: BUCKET, clock, log },
      userId: async () => userIdOf(identity.instance),
    });
    const desiredStore = createDesiredStore({ aws, bucket: BUCKET, env: ENV });
    const worker = await openWorker({
      service: {
        name: SERVICE,
        checks: [],
        watch: 0,
        hooks: { beforeStop: [], afterStart: [] },
        reportLog: true,
      },
      identity,
      log,
      ports: {
        clock,
        reporter,
        host: createHost(),
        package: createArchivePackage({
          service: SERVICE,
          dir: join(dir, SERVICE),
          keep: 3,
          store: createArtifactStore({ aws, bucket: BUCKET }),
        }),
        manager: createCommandManager({
          start: fine,
          stop: fine,
          restart: fine,
          status: fine,
          environment: {},
          startTimeout: 10_000,
          stopTimeout: 10_000,
          clock,
        }),
        probe: createHealthProbe(UNREGISTERED.repeatable),
        hooks: createHookRunner(UNREGISTERED.repeatable),
        journal: {
          load: () => journal.load(),
          async append(state) {
            await journal.append(state);
            for (const { report } of state.endings) {
              endings.set(
                report.deployment,
                (endings.get(report.deployment) ?? new Set()).add(JSON.stringify(report)),
              );
            }
            // The state can be read from the next turn on.
            setImmediate(() => {
              for (const look of watchers) look();
            });
          },
        },
        desired: desiredStore,
      },
    });
    return { worker, reporter, desired: createDesiredReader(desiredStore, verifier, ENV) };
  }

  let service = await openService();
  let stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();

  function until(fits: (state: ServiceState) => boolean): Promise<ServiceState> {
    const { promise, resolve } = Promise.withResolvers<ServiceState>();
    const look = () => {
      const state = service.worker.state();
      if (!fits(state)) return;
      watchers.delete(look);
      resolve(state);
    };
    watchers.add(look);
    look();
    return promise;
  }

  return {
    dir,
    state: () => service.worker.state(),
    heard,
    endings,
    start() {
      const { worker, reporter, desired } = service;
      stopping = new AbortController();
      const queue = createAgentQueue({
        ...{ aws, env: ENV, instance, topic, log },
        userId: async () => userIdOf(instance),
      });
      const inbox: Inbox = {
        ...queue,
        async receive() {
          // Not aborted by a stop: SQS would hide for 30 s what it had just handed to the poll.
          const messages = await queue.receive(NEVER);
          heard.push(...messages.map(({ body }) => body));
          return messages;
        },
      };
      const notifier = createSystemdNotifier({});
      const workers = new Map([[SERVICE, worker]]);
      running = runAgent(
        {
          identity,
          workers,
          inbox,
          local: NO_ORDERS,
          heartbeat: NO_HEARTBEAT,
          isQueueGone,
          verifier,
          desired,
          changes: createChangesStore({ aws, bucket: BUCKET, env: ENV }),
          reporter,
          notifier,
          clock,
          log,
        },
        stopping.signal,
      ).then(() => reporter.close(3000));
    },
    async stop() {
      stopping.abort(new Error('stopped by the test'));
      // Something to receive ends the poll.
      if (cloud.queues().includes(queueName)) cloud.sendRaw(queueName, 'stop');
      await running;
      service = await openService();
    },
    until,
    async settled() {
      await drained(cloud, instance);
      return await until(isSettled);
    },
    putForward,
  };
}

function jumpingClock(now: () => number): { clock: Clock; putForward: (ms: number) => void } {
  let ahead = 0;
  let jumped = Promise.withResolvers<void>();
  const monotonic = () => performance.now() + ahead;
  async function sleepOn(ms: number, signal: AbortSignal): Promise<void> {
    const end = monotonic() + ms;
    for (let left = ms; left > 0; left = end - monotonic()) {
      const awake = new AbortController();
      const timer = sleep(left, undefined, { signal: AbortSignal.any([signal, awake.signal]) });
      await Promise.race([timer, jumped.promise]);
      awake.abort();
      await timer.catch(() => undefined);
    }
  }
  return {
    clock: { now, monotonic, sleep: sleepOn },
    putForward(ms) {
      ahead += ms;
      jumped.resolve();
      jumped = Promise.withResolvers();
    },
  };
}

/** Whether it is at rest: done, or prepared and waiting for the deploy. What was cancelled is about to end. */
function isSettled({ active, waiting, outbox, tombstones }: ServiceState): boolean {
  const isHeld = active?.order.hold === true && active.state === 'prepared';
  const isCancelled = active !== null && tombstones.includes(active.order.deployment);
  return (active === null || (isHeld && !isCancelled)) && waiting === null && outbox.length === 0;
}
