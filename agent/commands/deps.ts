import type { Artifact, GivenFile } from '../../shared/manifest.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import type { AgentServiceConfig } from '../config.ts';
import type { LocalOrder } from '../deploy/local-order.ts';
import type { Check, Finding, HealthProbe, Identity, PackageType, Readiness } from '../deploy/ports.ts';
import type { ServiceManager } from '../deploy/service-port.ts';
import type { ServiceState } from '../deploy/state.ts';

/** The dependencies of each command. wire-commands.ts supplies them; the commands import no adapter. */

/** Something that `check` looks at. `id` is its name in JSON, and stays the same. It changes nothing. */
export interface CheckProbe {
  id: string;
  run(signal: AbortSignal): Promise<readonly Finding[]>;
}

export interface CheckProbes {
  /** What is around the services: AWS, its permissions, the metadata, the clock, the disk. */
  environment: readonly CheckProbe[];
  ofService(
    name: string,
    service: AgentServiceConfig,
    pkg: Pick<PackageType, 'current'>,
  ): readonly CheckProbe[];
}

export interface CheckDeps {
  environment: readonly CheckProbe[];
  /** The ids of the trusted keys; none where the config says `trust: none`. @throws KEY_INVALID. */
  trustedKeys(): Promise<readonly string[]>;
  identify(signal: AbortSignal): Promise<Identity>;
  /** Checks that the topic and the queue of this instance can be read. Changes nothing. */
  probeQueue(instance: string, signal: AbortSignal): Promise<readonly Finding[]>;
  /** Checks that publishers believe what this instance says. Changes nothing. */
  probeUserId(instance: string, signal: AbortSignal): Promise<Finding>;
  /** Checks that artifacts can be read, and that the record can be read and written. Changes nothing. */
  probeBucket(signal: AbortSignal): Promise<readonly Finding[]>;
  services: readonly CheckedService[];
}

export interface CheckedService {
  name: string;
  /** The directory of the service's releases. */
  dir: string;
  package: Pick<PackageType, 'installsUnit' | 'inspect'>;
  /** Whether a health check contains `{version}`, so that it fails for another version. */
  namesVersion: boolean;
  manager: Pick<ServiceManager, 'status'>;
  readiness: Readiness;
  /** Where its status is read, for messages: `unit payments.service`. */
  statusSource: string;
  /** The problems of its directory; empty if there are none. */
  inspectDirectory(): Promise<readonly Finding[]>;
  /** Checks the target groups; undefined if the config names none. Changes nothing. */
  probeTraffic: ((instance: string, signal: AbortSignal) => Promise<readonly Finding[]>) | undefined;
  probes: readonly CheckProbe[];
}

export interface StatusDeps {
  env: string;
  /** The instance's id and tags as the config has them. */
  configured: { instance: string | undefined; tags: Record<string, string> };
  identify(signal: AbortSignal): Promise<Identity>;
  probeQueue(instance: string, signal: AbortSignal): Promise<readonly Finding[]>;
  runningAgent(): Promise<RunningAgent | undefined>;
  /** What the agent has recorded about the end of this instance; undefined where nothing was announced. */
  notice(): Promise<{ kind: string; at?: string | undefined; left: boolean } | undefined>;
  services: readonly ObservedService[];
  probe: HealthProbe;
}

export interface ObservedService {
  name: string;
  package: Pick<PackageType, 'current' | 'releases'>;
  manager: Pick<ServiceManager, 'status'>;
  checks: readonly Check[];
  /** The last state in the journal; undefined if the journal has none, as before the first order. */
  state(): Promise<ServiceState | undefined>;
}

export interface RunningAgent {
  pid: number;
  version: string;
  since: string;
}

export interface LocalDeployDeps {
  services: readonly DeployableService[];
  identify(signal: AbortSignal): Promise<Identity>;
  runningAgent(): Promise<RunningAgent | undefined>;
  orders: OrderSpool;
}

export interface DeployableService extends Pick<ObservedService, 'name' | 'state'> {
  package: Pick<PackageType, 'current' | 'releases' | 'versionOf'>;
}

/** The directory through which the commands give orders to the running agent. */
export interface OrderSpool {
  /** Writes an order and copies of its files. Resolves when they are on disk. @throws NO_SPACE, USAGE. */
  give(
    order: Omit<LocalOrder, 'artifacts'>,
    what: { files: readonly GivenFile[] } | { artifacts: readonly Artifact[] },
  ): Promise<LocalOrder>;
  /** The directory of the order. */
  pathOf(deployment: string): string;
}

export interface LeaveDeps {
  env: string;
  services: readonly string[];
  identify(signal: AbortSignal): Promise<Identity>;
  /** Removes the subscription and the queue. */
  removeQueue(instance: string, signal: AbortSignal): Promise<void>;
  putInstance(record: InstanceRecord, signal: AbortSignal): Promise<void>;
}
