import { join } from 'node:path';
import type { Aws } from '../shared/aws.ts';
import type { Clock } from '../shared/clock.ts';
import type { LoadBalancer } from './aws/load-balancer.ts';
import { createManifestStore } from './aws/s3-stores.ts';
import type { AgentConfig, AgentServiceConfig, PackageConfig } from './config.ts';
import { commandEnvironment } from './deploy/command-environment.ts';
import type { ArtifactStore, ManifestStore, PackageType, Readiness } from './deploy/ports.ts';
import type { ServiceManager } from './deploy/service-port.ts';
import { serviceState } from './deploy/state.ts';
import { brings } from './host/deb/brings.ts';
import { createDebPackage } from './host/deb/deb.ts';
import type { CommandRegistry } from './host/process/command-registry.ts';
import { createArchivePackage } from './host/releases/archive.ts';
import { createJarPackage } from './host/releases/jar.ts';
import { placesOf } from './host/releases/staging.ts';
import { createCommandManager } from './host/services/command-manager.ts';
import { createReadiness } from './host/services/readiness.ts';
import { createSystemdManager } from './host/services/systemd.ts';
import { loadVerifier } from './wire-instance.ts';

/** Creates the adapters of one service of the config. `run` deploys with them; the other commands only read. */

export interface PackageSources {
  service: string;
  store: ArtifactStore;
  manifests: ManifestStore;
  /** See `serviceUserOf`. */
  serviceUser?: string | undefined;
  /** Undefined for a command that only reads. */
  commands?: CommandRegistry;
}

type OptionsOf<T extends PackageConfig['type']> = Extract<PackageConfig, { type: T }> & PackageSources;

/** One line for each package type. shared/package-types.ts has their help texts. */
const CREATE_PACKAGE = {
  jar: createJarPackage,
  archive: createArchivePackage,
  deb: createDebPackage,
} satisfies { [T in PackageConfig['type']]: (options: OptionsOf<T>) => PackageType };

export function createPackage(config: PackageConfig, sources: PackageSources): PackageType {
  // The cast is safe: `satisfies` above checks each function against the config of its own type.
  const create = CREATE_PACKAGE[config.type] as (options: PackageConfig & PackageSources) => PackageType;
  return create({ ...config, ...sources });
}

/** The user who runs the service, as far as the config names it: a unit names its own. */
export function serviceUserOf({ manager }: Pick<AgentServiceConfig, 'manager'>): string | undefined {
  return manager.type === 'command' ? manager.user : undefined;
}

/** `commands` is left out for a command that only reads. */
export function createManager(
  { manager }: Pick<AgentServiceConfig, 'manager'>,
  about: { env: string; service: string },
  clock: Clock,
  commands?: CommandRegistry,
): ServiceManager {
  switch (manager.type) {
    case 'systemd':
      return createSystemdManager({ ...manager, clock });
    case 'command':
      return createCommandManager({
        ...{ ...manager, clock, ...(commands && { commands }) },
        environment: { ...commandEnvironment(about), ...manager.environment },
      });
  }
}

/** The one test of what a deployment needs here: `check` and the deployment use it. */
export function createServiceReadiness(service: string, config: AgentServiceConfig): Readiness {
  const { package: pkg, manager, hooks, checks } = config;
  const places = placesOf(pkg.dir);
  const isDeb = pkg.type === 'deb';
  return createReadiness({
    ...{ service, hooks, checks, installsUnit: isDeb },
    manager: manager.type === 'systemd' ? manager : { commands: commandsOf(manager) },
    ...(!isDeb && { current: places.current }),
    release: places.release,
    ...(isDeb && {
      brings: (version: string | null, path: string) =>
        brings(pkg.name, version === null ? null : places.release(version), path),
    }),
  });
}

function commandsOf(manager: Extract<AgentServiceConfig['manager'], { type: 'command' }>) {
  const { user } = manager;
  return (['start', 'stop', 'restart', 'status'] as const).flatMap((name) => {
    const [program] = manager[name] ?? [];
    return program === undefined ? [] : [{ what: `${name} command`, program, user }];
  });
}

/**
 * Loads the keys at each read, because the agent rarely reads a manifest: only before it replaces a deb that
 * trigger-deploy did not install.
 */
export function createManifests(config: AgentConfig, aws: Aws): ManifestStore {
  return {
    async read(service, version, signal) {
      const verifier = await loadVerifier(config);
      return createManifestStore({ aws, bucket: config.bucket, verifier }).read(service, version, signal);
    },
  };
}

/** Undefined where the config names no target groups: then the client of Elastic Load Balancing is not loaded. */
export async function createTraffic(
  { traffic }: AgentServiceConfig,
  aws: Aws,
  instance: string,
): Promise<LoadBalancer | undefined> {
  if (traffic === undefined) return undefined;
  const { createLoadBalancer } = await import('./aws/load-balancer.ts');
  return createLoadBalancer({ ...traffic, aws, instance });
}

export function journalOf(config: AgentConfig, service: string) {
  return {
    path: join(config.state, 'services', `${service}.journal`),
    parse: (value: unknown) => serviceState.parse(value),
  };
}
