import { join } from 'node:path';
import { orAborted } from '../shared/abort.ts';
import { type Aws, createAws } from '../shared/aws.ts';
import { type Clock, createClock } from '../shared/clock.ts';
import { TriggerDeployError } from '../shared/errors.ts';
import { createLog, type Log, type LogFormat } from '../shared/log.ts';
import type { Verifier } from '../shared/signing.ts';
import { createConnections } from './aws/connections.ts';
import { createHeartbeat } from './aws/heartbeat.ts';
import { createOwnUserId } from './aws/own-user-id.ts';
import { createAgentQueue, isQueueGone } from './aws/queue.ts';
import { createReporter } from './aws/reporter.ts';
import { createArtifactStore, createChangesStore, createDesiredStore } from './aws/s3-stores.ts';
import { type AgentConfig, loadAgentConfig } from './config.ts';
import { createDesiredReader } from './deploy/converge.ts';
import type {
  ArtifactStore,
  DesiredStore,
  Host,
  Identity,
  ManifestStore,
  Reporter,
  ServiceLogs,
} from './deploy/ports.ts';
import { openWorker, type ServiceWorker } from './deploy/worker.ts';
import { onLeftover } from './host/fs/leftovers.ts';
import { openCommandRegistry } from './host/process/command-registry.ts';
import { createHealthProbe } from './host/services/health.ts';
import { createHookRunner } from './host/services/hooks.ts';
import { isRestartOfUnit } from './host/services/own-unit.ts';
import { takeAgentLock } from './host/state/agent-lock.ts';
import { removeAgentPid, writeAgentPid } from './host/state/agent-pid.ts';
import { createJournal } from './host/state/journal.ts';
import { createOrderSpool } from './host/state/order-spool.ts';
import { withSpooledArtifacts } from './host/state/spooled-artifacts.ts';
import { createHost, isJournal } from './host/system/host.ts';
import { createSystemdNotifier } from './host/system/systemd-notify.ts';
import { type AgentParts, runAgent } from './loop/agent.ts';
import { awaitConfig } from './loop/await-config.ts';
import { awaitIdentity } from './loop/await-identity.ts';
import { type Connectivity, createConnectivity } from './loop/connectivity.ts';
import { createStatusLine } from './loop/status-line.ts';
import { identify, loadVerifier, placesOf, VERSION } from './wire-instance.ts';
import type { WiredLife } from './wire-life.ts';
import type { wireLogs } from './wire-logs.ts';
import type { WiredMetrics, wireMetrics as WireMetrics } from './wire-metrics.ts';
import { wireSelfUpdate } from './wire-self-update.ts';
import {
  createManager,
  createManifests,
  createPackage,
  createServiceReadiness,
  createTraffic,
  journalOf,
  serviceUserOf,
} from './wire-service.ts';

/** Builds the agent for the command `run`: decides which adapter is behind which port. */

/** How long the agent, when it stops, waits until its replies are sent, ms. */
const FLUSH_WITHIN = 3000;

export interface WiredAgent {
  log: Log;
  /** Runs until `stopping` aborts. @throws LOCKED and others before anything has started. */
  run(stopping: AbortSignal): Promise<void>;
}

/**
 * Reads the config and the keys. In a unit that systemd starts again after a mistake in them, `tell` gets the mistake,
 * and the correction is waited for. @throws CONFIG_INVALID, KEY_INVALID.
 */
export async function wireAgent(
  options: { config: string; verbose: boolean },
  tell: (mistake: TriggerDeployError) => void,
  stopping: AbortSignal,
): Promise<WiredAgent> {
  const load = async () => {
    const config = await loadAgentConfig(options.config);
    return { config, verifier: await loadVerifier(config) };
  };
  const waiting = {
    ...{ tell, clock: createClock(Date.now), notifier: createSystemdNotifier(process.env) },
    isRestart: () => isRestartOfUnit(process.env),
  };
  const { config, verifier } = await awaitConfig(load, waiting, stopping);
  const level = options.verbose ? 'debug' : config.logLevel;
  const log = createLog(level, { program: 'trigger-deploy-agent' }, logFormat(config));
  return { log, run: (stopping) => run({ config, verifier, file: options.config }, log, stopping) };
}

/** `auto` means text if stdout goes to journald, otherwise JSON. Lines for journald have a priority (sd-daemon(3)). */
function logFormat({ logFormat }: AgentConfig): LogFormat {
  const journal = isJournal(process.env.JOURNAL_STREAM);
  if (logFormat === 'json' || (logFormat === 'auto' && !journal)) return 'json';
  return journal ? 'journal' : 'text';
}

async function run(
  { config, verifier, file }: { config: AgentConfig; verifier: Verifier; file: string },
  log: Log,
  stopping: AbortSignal,
): Promise<void> {
  onLeftover(({ path, error }) =>
    log.warn({ path, err: error }, 'a leftover cannot be removed; the agent continues without removing it'),
  );
  const lock = await takeAgentLock(config.state);
  const onSlow = (text: string) => log.debug(text);
  const aws = createAws({ ...config, places: placesOf(file) }, { onSlow, connections: createConnections() });
  try {
    // A host that does not answer before the loops run (a file system that hangs) must not keep the agent either.
    const agent = await orAborted(open(config, { aws, verifier, log, stopping }), stopping);
    if (agent) await agent.run();
  } catch (error) {
    if (!stopping.aborted) throw error;
    if (error !== stopping.reason) log.error({ err: error }, 'an error while stopping');
  } finally {
    aws.close();
    lock.release();
  }
  log.info('stopped');
}

/** Opens everything that the loops need. Undefined if the agent was stopped meanwhile. */
async function open(
  config: AgentConfig,
  { aws, verifier, log, stopping }: { aws: Aws; verifier: Verifier; log: Log; stopping: AbortSignal },
): Promise<{ run(): Promise<void> } | undefined> {
  const { env, bucket, topic, state } = config;
  const clock = createClock(() => aws.now());
  const spool = createOrderSpool(state);
  const store = withSpooledArtifacts(spool, createArtifactStore({ aws, bucket }));
  const manifests = createManifests(config, aws);
  await assertHost(config, { store, manifests });
  const notifier = createSystemdNotifier(process.env);
  const waiting = { notifier, clock, log };
  const found = await awaitIdentity((signal) => identify(config, signal), waiting, stopping);
  if (!found) return undefined;
  const identity = { ...found, trusts: verifier.kids };
  const agentLog = log.child({ instance: identity.instance, env });
  const connectivity = createConnectivity();
  const statusLine = createStatusLine(notifier);
  const named = { instance: identity.instance, session: config.session };
  const userId = createOwnUserId(aws, named, agentLog);
  const replies = createReporter({ aws, bucket, clock, log: agentLog, userId });
  const desired = createDesiredStore({ aws, bucket, env });
  const desiredStates = createDesiredReader(desired, verifier, env);
  const metrics = await openMetrics(config, { identity, desired: desiredStates, clock, log: agentLog });
  const host = createHost();
  const queue = createAgentQueue({
    ...{ aws, env, instance: identity.instance, topic, log: agentLog, userId },
    ...{ services: Object.keys(config.services), queueTags: config.queueTags },
  });
  const life = await openLife(config, {
    ...{ aws, identity, queue, host, clock, log: agentLog, reporter: replies },
    show: statusLine.notice,
  });
  const reached = connectivity.reporter(replies);
  const observed = statusLine.reporter(life?.gate.reporter(reached) ?? reached);
  const reporter = metrics?.reporter(observed) ?? observed;
  const shared = { aws, clock, store, manifests, desired, host, identity, reporter, connectivity, metrics };
  const workers = new Map<string, ServiceWorker>();
  const isBusy = () => [...workers.values()].some((worker) => worker.state().active !== null);
  const logs = await createLogs(config, { aws, clock, log: agentLog, userId, isBusy });
  for (const name of Object.keys(config.services)) {
    workers.set(
      name,
      await wireWorker(config, name, { ...shared, logs: logs?.get(name), log: agentLog, stopping }),
    );
  }
  // Only the other commands need the pid file. A full disk must not prevent the start of the agent.
  await writeAgentPid(state, VERSION).catch((err) =>
    log.warn({ err }, 'cannot write the pid file; `status` will show the agent as not running'),
  );
  const reachedInbox = connectivity.inbox(queue);
  const inbox = statusLine.inbox(life?.gate.inbox(reachedInbox) ?? reachedInbox);
  const heartbeat = createHeartbeat({ aws, bucket, env, instance: identity.instance, userId });
  const parts: AgentParts = {
    ...{ identity, workers, isQueueGone, verifier, reporter, notifier, clock, log: agentLog },
    inbox: metrics?.inbox(inbox) ?? inbox,
    onRefused: metrics?.refused,
    local: spool,
    desired: desiredStates,
    changes: createChangesStore({ aws, bucket, env }),
    heartbeat: life?.gate.heartbeat(heartbeat) ?? heartbeat,
    life: await life?.open({ workers, desired: desiredStates, reporter }),
    logs: [...(logs?.values() ?? [])],
  };
  return {
    async run() {
      void metrics?.run(stopping);
      await runAgent(parts, stopping);
      await replies.close(FLUSH_WITHIN);
      await removeAgentPid(state);
    },
  };
}

/** What measures the agent; undefined, and nothing of it is loaded, without `metrics:` in the config. */
async function openMetrics(
  { metrics, services }: AgentConfig,
  parts: Omit<Parameters<typeof WireMetrics>[1], 'services'>,
): Promise<WiredMetrics | undefined> {
  if (metrics === undefined) return undefined;
  const { wireMetrics } = await import('./wire-metrics.ts');
  return wireMetrics(metrics, { ...parts, services: Object.keys(services) });
}

/** Undefined where the config has no `lifecycle`: then nothing of it is loaded. */
async function openLife(
  config: AgentConfig,
  parts: Parameters<typeof import('./wire-life.ts').wireLife>[2],
): Promise<WiredLife | undefined> {
  if (!config.lifecycle) return undefined;
  const { wireLife } = await import('./wire-life.ts');
  return wireLife(config, config.lifecycle, parts);
}

/** Undefined where no service has `logs:`: then nothing of it is loaded. */
async function createLogs(config: AgentConfig, parts: Parameters<typeof wireLogs>[1]) {
  if (Object.values(config.services).every(({ logs }) => logs === undefined)) return undefined;
  const { wireLogs } = await import('./wire-logs.ts');
  return await wireLogs(config, parts);
}

/** @throws CONFIG_INVALID where this host cannot deploy the packages of a service. */
async function assertHost(
  config: AgentConfig,
  sources: { store: ArtifactStore; manifests: ManifestStore },
): Promise<void> {
  for (const [service, { package: pkg }] of Object.entries(config.services)) {
    const [problem] = await createPackage(pkg, { service, ...sources }).checkHost();
    if (!problem) continue;
    const { what, hint } = problem;
    throw new TriggerDeployError('CONFIG_INVALID', `service ${service}: ${what}`, { hint });
  }
}

async function wireWorker(
  config: AgentConfig,
  name: string,
  parts: {
    aws: Aws;
    clock: Clock;
    store: ArtifactStore;
    manifests: ManifestStore;
    desired: DesiredStore;
    host: Host;
    identity: Identity;
    reporter: Reporter;
    connectivity: Connectivity;
    metrics: WiredMetrics | undefined;
    logs: ServiceLogs | undefined;
    log: Log;
    stopping: AbortSignal;
  },
): Promise<ServiceWorker> {
  const service = config.services[name];
  if (!service) throw new Error(`${name} is not in the config`);
  const { checks, watch, hooks, reportLog } = service;
  const { aws, clock, store, manifests, desired, host, identity, reporter, connectivity, log } = parts;
  const commands = await openCommandRegistry(join(config.state, 'commands', name), parts.stopping);
  const serviceUser = serviceUserOf(service);
  const pkg = createPackage(service.package, { service: name, store, manifests, commands, serviceUser });
  const manager = createManager(service, { env: config.env, service: name }, clock, commands);
  const selfUpdate = wireSelfUpdate(config, service, connectivity, clock);
  const journal = createJournal(journalOf(config, name));
  return await openWorker({
    service: { name, checks, watch, hooks, reportLog },
    identity,
    log,
    ports: {
      clock,
      reporter,
      host,
      package: selfUpdate?.package(pkg) ?? pkg,
      manager: selfUpdate?.manager(manager) ?? manager,
      probe: createHealthProbe(commands.repeatable),
      hooks: createHookRunner(commands.repeatable),
      readiness: createServiceReadiness(name, service),
      traffic: await createTraffic(service, aws, identity.instance),
      journal: parts.metrics?.journal(name, journal) ?? journal,
      logs: parts.logs,
      desired,
    },
  });
}
