import type {
  HealthProbe,
  Hook,
  HookRunner,
  Host,
  Identity,
  Journal,
  PackageType,
  Ports,
  Reporter,
  ServiceConfig,
} from '../../../agent/deploy/ports.ts';
import type { ServiceManager } from '../../../agent/deploy/service-port.ts';
import type { Order, ServiceState } from '../../../agent/deploy/state.ts';
import type { Traffic } from '../../../agent/deploy/traffic-port.ts';
import type { ConfiguredCheck } from '../../../agent/host/services/check-types.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import type { Artifact } from '../../../shared/manifest.ts';
import { newUlid } from '../../../shared/names.ts';
import type { InstanceRecord, Reply, Report } from '../../../shared/report.ts';
import { hastyClock } from '../host/clock.ts';

/** An instance in memory: fakes of the ports over one small model, for tests of the steps and their order. */

export interface Model {
  releases: Map<string, readonly Artifact[]>;
  current: string | null;
  /** What runs; null when the unit is down. */
  running: { version: string; pid: number; invocation: string } | null;
  restarts: number;
  /** Versions that start but answer 500. */
  unhealthy: Set<string>;
  /** Versions that cannot be started. */
  unstartable: Set<string>;
  /** Versions whose download fails. */
  unavailable: Set<string>;
  failingHooks: Set<string>;
  downloads: string[];
  hooksRun: { run: string; version: string | undefined }[];
  /** The target groups that it is registered with; undefined without a load balancer. */
  groups: Set<string> | undefined;
  failingTraffic: Set<'groups' | 'leave' | 'join' | 'healthy'>;
  /** Stops, starts, hooks, and changes of the registration, in order. */
  course: string[];
  starts: string[];
  progress: Reply[];
  delivered: Report[];
  records: InstanceRecord[];
  journal: ServiceState[];
  bootId: string;
  machineStopping: boolean;
  log: string;
  /** Called at the start of each port method with its name, for tests that interfere. */
  before: (call: string) => Promise<void> | void;
}

export const IDENTITY: Identity = { env: 'dev', instance: 'i-1', zone: 'eu-west-1a', agentVersion: '0.0.0' };

const HTTP: ConfiguredCheck = {
  kind: 'http',
  url: 'http://127.0.0.1:1/health',
  status: 200,
  successes: 2,
  deadline: 200,
  timeout: 50,
};

export function serviceConfig(overrides: Partial<ServiceConfig> = {}): ServiceConfig {
  return {
    name: 'payments',
    checks: [HTTP],
    watch: 0,
    hooks: { beforeStop: [], afterStart: [] },
    reportLog: true,
    ...overrides,
  };
}

export const hook = (run: string): Hook => ({ run: [run], timeout: 1000, environment: {} });

export function artifactsOf(version: string): Artifact[] {
  const digit = (version.codePointAt(version.length - 1) ?? 0) % 10;
  return [{ name: 'payments.jar', size: 3, sha256: String(digit).repeat(64), role: 'package' }];
}

let sequence = 0;

export function orderOf(version: string, overrides: Partial<Order> = {}): Order {
  sequence += 1;
  return {
    deployment: newUlid(1_700_000_000_000 + sequence),
    service: 'payments',
    sequence,
    version,
    action: 'deploy',
    artifacts: artifactsOf(version),
    source: 'announcement',
    replyTo: 'reply',
    hold: false,
    ...overrides,
  };
}

export function createModel(): Model {
  return {
    releases: new Map(),
    current: null,
    running: null,
    restarts: 0,
    unhealthy: new Set(),
    unstartable: new Set(),
    unavailable: new Set(),
    failingHooks: new Set(),
    downloads: [],
    hooksRun: [],
    groups: undefined,
    failingTraffic: new Set(),
    course: [],
    starts: [],
    progress: [],
    delivered: [],
    records: [],
    journal: [],
    bootId: 'boot-1',
    machineStopping: false,
    log: '',
    before: () => undefined,
  };
}

/** A model on which an earlier agent deployed `version`. */
export function modelRunning(version: string): Model {
  const model = createModel();
  model.releases.set(version, artifactsOf(version));
  model.current = version;
  model.running = { version, pid: 100, invocation: 'first' };
  return model;
}

export function createFakePorts(model: Model): Ports {
  const enter = async (call: string, signal?: AbortSignal) => {
    signal?.throwIfAborted();
    await model.before(call);
    signal?.throwIfAborted();
  };
  const clock = hastyClock();
  const pkg: PackageType = {
    type: 'jar',
    installsUnit: false,
    checkHost: async () => [],
    inspect: async () => [],
    versionOf: async () => undefined,
    releases: async () => [...model.releases].map(([version, artifacts]) => ({ version, artifacts })),
    current: async () => model.current,
    isWhole: async () => true,
    adopt: async () => null,
    async prepare({ version, artifacts, fresh }, _note, signal) {
      await enter('prepare', signal);
      if (model.unavailable.has(version)) throw new TriggerDeployError('DOWNLOAD_FAILED', 'connection reset');
      if (model.releases.has(version) && !fresh) return { downloaded: 0 };
      model.downloads.push(version);
      model.releases.set(version, artifacts);
      return { downloaded: 3 };
    },
    async switchTo(version) {
      await enter('switchTo');
      if (version !== null && !model.releases.has(version))
        throw new TriggerDeployError('RELEASE_INCOMPLETE', version);
      model.current = version;
    },
    async look(version, processes) {
      const shows = model.running?.version;
      const one = { wanted: shows === version, version: shows, by: 'its program' };
      const shown = shows === undefined ? [] : processes.map((process) => ({ process, ...one }));
      return { shown, hidden: 0, missing: 'a file of it', hint: 'correct the unit' };
    },
    async prune(keep) {
      await enter('prune');
      const gone = [...model.releases.keys()].filter(
        (version) => !keep.has(version) && version !== model.current,
      );
      for (const version of gone) model.releases.delete(version);
      return gone;
    },
  };
  const status = () => ({
    active: model.running !== null,
    failed: false,
    mainPid: model.running?.pid ?? null,
    restarts: model.restarts,
    invocation: model.running?.invocation ?? null,
    summary: model.running ? 'active (running)' : 'inactive (dead)',
  });
  const manager: ServiceManager = {
    async status(signal) {
      await enter('status', signal);
      return status();
    },
    async restart(signal) {
      await enter('restart', signal);
      const version = model.current;
      model.course.push(`restart ${version}`);
      model.running = null;
      if (version === null || model.unstartable.has(version))
        throw new TriggerDeployError('START_FAILED', 'it did not start');
      model.starts.push(version);
      model.running = { version, pid: 100 + model.starts.length, invocation: `start-${model.starts.length}` };
      return status();
    },
    async stop(signal) {
      await enter('stop', signal);
      model.course.push('stop');
      model.running = null;
    },
    async processes() {
      const { running } = model;
      return running ? [{ pid: running.pid, id: running.invocation, main: true }] : [];
    },
    logTail: async () => model.log,
  };
  const probe: HealthProbe = {
    describe: ({ kind }) => `the ${kind} check`,
    async probe(_check, expected, signal) {
      await enter('probe', signal);
      const version = model.running?.version;
      if (version === undefined) return { ok: false, note: 'http refused' };
      if (model.unhealthy.has(version)) return { ok: false, note: 'http 500' };
      return version === expected.version
        ? { ok: true, note: 'http 200' }
        : { ok: false, note: `http 200 from ${version}` };
    },
  };
  const hooks: HookRunner = {
    async run({ run: [program = ''] }, environment, signal) {
      await enter(`hook ${program}`, signal);
      model.hooksRun.push({ run: program, version: environment.TRIGGER_DEPLOY_VERSION });
      model.course.push(`hook ${program}`);
      if (model.failingHooks.has(program))
        throw new TriggerDeployError('HOOK_FAILED', `${program} exited with 1`);
    },
  };
  const talk = async (call: 'groups' | 'leave' | 'join' | 'healthy', signal: AbortSignal) => {
    await enter(`traffic ${call}`, signal);
    if (call !== 'groups') model.course.push(call);
    if (model.failingTraffic.has(call)) throw new TriggerDeployError('TRAFFIC_FAILED', `cannot ${call}`);
  };
  const traffic: Traffic = {
    async groups(signal) {
      await talk('groups', signal);
      return [...(model.groups ?? [])];
    },
    async leave(groups, _note, signal) {
      for (const group of groups) model.groups?.delete(group);
      await talk('leave', signal);
    },
    async join(groups, signal) {
      await talk('join', signal);
      for (const group of groups) model.groups?.add(group);
    },
    healthy: (_groups, _note, signal) => talk('healthy', signal),
  };
  const journal: Journal = {
    load: async () => ({ state: model.journal.at(-1), quarantined: undefined }),
    async append(state) {
      await enter('append');
      model.journal.push(structuredClone(state));
    },
  };
  const reporter: Reporter = {
    progress: (reply) => void model.progress.push(reply),
    async deliver(report, _replyTo, signal) {
      await enter('deliver', signal);
      model.delivered.push(report);
    },
    async putInstance(record, signal) {
      await enter('putInstance', signal);
      model.records.push(record);
    },
  };
  const host: Host = {
    bootId: async () => model.bootId,
    stopping: async () => model.machineStopping,
  };
  return {
    clock,
    package: pkg,
    manager,
    probe,
    hooks,
    traffic: model.groups && traffic,
    journal,
    reporter,
    desired: { read: async () => 'absent' },
    host,
  };
}
