import type { Artifact } from '../../shared/manifest.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import type { AgentConfig } from '../config.ts';
import type { LocalOrder } from '../deploy/local-order.ts';
import type { HealthProbe, Identity, PackageType, ServiceManager } from '../deploy/ports.ts';
import type { ServiceState } from '../deploy/state.ts';
import type { Finding } from './check.ts';

/** What main.ts wires for a command, all of it for one config; the commands know no adapter themselves. */
export interface Wiring {
  config: AgentConfig;
  /** The ids of the trusted keys; none where the config says `trust: none`. @throws KEY_INVALID. */
  keys(): Promise<readonly string[]>;
  identify(signal: AbortSignal): Promise<Identity>;
  queueOf(instance: string): OwnQueue;
  /** Puts the instance record of a service. */
  putInstance(record: InstanceRecord, signal: AbortSignal): Promise<void>;
  /** Whether artifacts can be read and the record written. */
  probeBucket(signal: AbortSignal): Promise<readonly Finding[]>;
  /** Whether the load balancer's groups of a service can be seen; none without a load balancer. */
  probeTraffic(service: string, instance: string, signal: AbortSignal): Promise<readonly Finding[]>;
  packageOf(service: string): PackageType;
  managerOf(service: string): ServiceManager;
  /** What is wrong with the service's place on this host, nothing when all is well. */
  inspect(service: string): Promise<readonly { problem: string; hint: string }[]>;
  /** What is known of a service here; undefined when the agent never held it. */
  stateOf(service: string): Promise<ServiceState | undefined>;
  /** One try of one health check. */
  probe: HealthProbe;
  /** The agent that runs here now, undefined when none does. */
  agent(): Promise<{ pid: number; version: string; since: string } | undefined>;
  orders: OrderPlace;
  /** The version a .deb says it is, without epoch. @throws PACKAGE_INVALID. */
  debVersion(path: string): Promise<string>;
  close(): void;
}

/** Where orders are put for the running agent to find. */
export interface OrderPlace {
  /** On disk, with copies of the files, when it resolves. @throws NO_SPACE, USAGE. */
  give(
    order: Omit<LocalOrder, 'artifacts'>,
    what:
      | { files: readonly { path: string; name: string; size: number; role: Artifact['role'] }[] }
      | { artifacts: readonly Artifact[] },
  ): Promise<LocalOrder>;
  /** Where an order lies, for a person. */
  placeOf(deployment: string): string;
}

/** This instance's own queue and its subscription. */
export interface OwnQueue {
  /** Looks whether topic and queue can be reached, and changes nothing. */
  probe(signal: AbortSignal): Promise<readonly Finding[]>;
  leave(signal: AbortSignal): Promise<void>;
}
