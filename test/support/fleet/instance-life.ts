import type { Ports, ServiceConfig } from '../../../agent/deploy/ports.ts';
import { openWorker, type ServiceWorker } from '../../../agent/deploy/worker.ts';
import { type LifeParts, type LifeSettings, openLife } from '../../../agent/life/life.ts';
import type { LifeState } from '../../../agent/life/life-state.ts';
import type { Readings } from '../../../agent/life/notice.ts';
import type { Desired } from '../../../shared/desired.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { silentLog } from '../../../shared/log.ts';
import type { InstanceRecord } from '../../../shared/report.ts';
import { createFakePorts, hook, IDENTITY, type Model, serviceConfig } from './fake-ports.ts';

/**
 * The life of an instance in memory: one service over `model`, the metadata and the group as the test has them, and what
 * would be on disk. Each `start` is a process; `kill` ends it as SIGKILL does: nothing of it happens any more.
 */
export interface World {
  model: Model;
  readings: Readings;
  /** What the metadata does when it is read, besides. */
  onRead: () => void;
  disk: LifeState | undefined;
  desired: Desired | undefined;
  /** How Auto Scaling answers. */
  group: 'waits' | 'nothing waits' | 'denies';
  shown: (string | undefined)[];
  /** Ports that a test replaces. */
  ports: (ports: Ports) => Partial<Ports>;
}

export const NOTHING: Readings = { spot: undefined, rebalance: undefined, target: undefined };

const DRAINED = serviceConfig({
  hooks: {
    beforeStop: [hook('/drain')],
    afterStart: [hook('/undrain')],
    onTerminate: [hook('/save'), hook('/say')],
  },
});

export function worldOf(model: Model): World {
  return {
    ...{ model, readings: { ...NOTHING }, onRead: () => {}, disk: undefined, desired: undefined },
    ...{ group: 'waits', shown: [], ports: () => ({}) },
  };
}

export interface Process {
  worker: ServiceWorker;
  gate: () => boolean;
  /** Ends it as SIGTERM does. */
  stop(): Promise<void>;
}

/** `killAt`: the process is killed at this call of a port, counted from 1; the call itself does not happen. */
export async function start(
  world: World,
  {
    service = DRAINED,
    settings = {},
    killAt = Number.POSITIVE_INFINITY,
  }: {
    service?: ServiceConfig;
    settings?: Partial<LifeSettings>;
    killAt?: number;
  } = {},
): Promise<Process & { killed: Promise<void>; calls: () => number }> {
  const { model } = world;
  const dying = Promise.withResolvers<void>();
  let calls = 0;
  let isDead = false;
  /** Every effect on the world goes through here. */
  const enter = async () => {
    calls += 1;
    if (calls >= killAt) {
      isDead = true;
      dying.resolve();
    }
    if (isDead) await new Promise(() => {});
  };
  const stopping = new AbortController();
  const before = model.before;
  model.before = async (call) => {
    if (isDead) return await new Promise(() => {});
    await enter();
    await before(call);
  };
  const ports = createFakePorts(model);
  Object.assign(ports, world.ports(ports));
  const worker = await openWorker({ service, ports, identity: IDENTITY, log: silentLog() });
  let isOpen = true;
  const note = async (text: string) => {
    await enter();
    model.course.push(text);
  };
  const act = async (text: string) => {
    if (world.group === 'denies') throw new TriggerDeployError('AWS_DENIED', 'not allowed');
    await note(text);
    return world.group === 'waits' ? ('done' as const) : ('over' as const);
  };
  const parts: LifeParts = {
    ...{ instance: IDENTITY.instance, workers: new Map([[service.name, worker]]), host: ports.host },
    notices: {
      async read() {
        world.onRead();
        return world.readings;
      },
    },
    store: {
      load: async () => structuredClone(world.disk),
      async save(state) {
        await enter();
        world.disk = structuredClone(state);
      },
    },
    gate: {
      set(open) {
        isOpen = open;
      },
    },
    leave: () => note('leave'),
    actions: {
      complete: (name, result) => act(`complete ${name} ${result}`),
      heartbeat: (name) => act(`heartbeat ${name}`),
    },
    settings: {
      ...{ within: 900_000, launchWithin: 1_800_000, onFailedLaunch: 'wait', terminateHook: 'end' },
      ...settings,
    },
    desired: { read: async () => world.desired },
    reporter: {
      putInstance: async (record: InstanceRecord) => void model.records.push(record),
    },
    show: (text) => void world.shown.push(text),
    ...{ clock: ports.clock, log: silentLog() },
  };
  const run = await openLife(parts);
  const running = Promise.all([worker.run(stopping.signal), run(stopping.signal)]);
  return {
    worker,
    gate: () => isOpen,
    killed: dying.promise,
    calls: () => calls,
    async stop() {
      stopping.abort(new TriggerDeployError('INTERRUPTED', 'stopped'));
      if (!isDead) await running;
      model.before = before;
    },
  };
}
