import { userInfo } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { hideBin } from 'yargs/helpers';
import packageJson from '../package.json' with { type: 'json' };
import { type Aws, createAws } from '../shared/aws.ts';
import { type Clock, createClock } from '../shared/clock.ts';
import { asTriggerDeployError, TriggerDeployError } from '../shared/errors.ts';
import { createLog, type LogFormat, silentLog } from '../shared/log.ts';
import { MOST_TAGS } from '../shared/report.ts';
import { loadPublicKey, trustNone, type Verifier, verifierOf } from '../shared/signing.ts';
import { readInstanceMetadata } from './aws/instance-metadata.ts';
import { createLoadBalancer, type LoadBalancer } from './aws/load-balancer.ts';
import { createAgentQueue, isQueueGone } from './aws/queue.ts';
import { createReporter } from './aws/reporter.ts';
import {
  createArtifactStore,
  createDesiredStore,
  createManifestStore,
  probeBucket,
} from './aws/s3-stores.ts';
import { type CommandName, type Options, type OptionsOf, parseCommandLine } from './cli.ts';
import { check, formatFindings } from './commands/check.ts';
import type { Wiring } from './commands/deps.ts';
import { leave } from './commands/leave.ts';
import { deploy, type LocalAsked, rollback } from './commands/local-deploy.ts';
import { status } from './commands/status.ts';
import { formatStatus } from './commands/status-table.ts';
import {
  type AgentConfig,
  type AgentServiceConfig,
  DEFAULT_CONFIG_PATH,
  isAgentItself,
  loadAgentConfig,
} from './config.ts';
import { createDesiredReader } from './deploy/converge.ts';
import type { ArtifactStore, Identity, ManifestStore, PackageType, ServiceManager } from './deploy/ports.ts';
import { serviceState } from './deploy/state.ts';
import { openWorker, type ServiceWorker } from './deploy/worker.ts';
import { debIn } from './host/deb/contents.ts';
import { createDebPackage } from './host/deb/deb.ts';
import { bareVersion, inspectDeb } from './host/deb/dpkg.ts';
import { assertDebHost, inspectDebService } from './host/deb/host.ts';
import { type CommandRegistry, openCommandRegistry } from './host/process/command-registry.ts';
import { createArchivePackage } from './host/releases/archive.ts';
import { createJarPackage } from './host/releases/jar.ts';
import { placesOf } from './host/releases/staging.ts';
import { createGuard } from './host/self-update/guard.ts';
import { createSelfUpdate, type SelfUpdate } from './host/self-update/self-update.ts';
import { createCommandManager } from './host/services/command-manager.ts';
import { createHealthProbe } from './host/services/health.ts';
import { createHookRunner } from './host/services/hooks.ts';
import { createSystemdManager } from './host/services/systemd.ts';
import { findRunningAgent, removeAgentPid, writeAgentPid } from './host/state/agent-pid.ts';
import { createJournal, readJournal } from './host/state/journal.ts';
import { createOrderSpool } from './host/state/order-spool.ts';
import { withSpooledArtifacts } from './host/state/spooled-artifacts.ts';
import { createHost, isJournal } from './host/system/host.ts';
import { inspectServiceDirectory } from './host/system/ownership.ts';
import { createSystemdNotifier } from './host/system/systemd-notify.ts';
import { runAgent } from './loop/agent.ts';
import { awaitIdentity } from './loop/await-identity.ts';
import { type Connectivity, createConnectivity } from './loop/connectivity.ts';
import { createStatusLine } from './loop/status-line.ts';

/** Composition root of trigger-deploy-agent: the only file that reads the environment, signals and exit codes. */

const VERSION = packageJson.version;

/** A stop must not outlast what the reporter has to say. ms */
const FLUSH_WITHIN = 3000;
/** What a new agent may take beside what its config names, ms. */
const SELF_UPDATE_SLACK = 15_000;
/** What an agent may take to end beside the hook it waits for: the unit's own timeout, and some more. ms */
const STOPS_WITHIN = 90_000;
/** ms */
const LOOKS_WITHIN = 10_000;

async function run(options: Options): Promise<void> {
  const config = await loadAgentConfig(options.config);
  const level = options.verbose ? 'debug' : config.logLevel;
  const log = createLog(level, { program: 'trigger-deploy-agent' }, logFormat(config));
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      log.info({ signal: name }, 'stopping: deployments checkpoint and go on at the next start');
      stopping.abort(new TriggerDeployError('INTERRUPTED', `the agent was stopped by ${name}`));
    });
  }
  for (const [name, service] of Object.entries(config.services)) {
    if (service.package.type === 'deb') await assertDebHost(name);
  }
  const verifier = await loadVerifier(config);
  const notifier = createSystemdNotifier(process.env);
  const aws = createAws(config);
  const clock = createClock(() => aws.now());
  const waiting = { notifier, clock, log };
  const identity = await awaitIdentity((signal) => identify(config, signal), waiting, stopping.signal);
  if (!identity) {
    aws.close();
    log.info('stopped');
    return;
  }
  const agentLog = log.child({ instance: identity.instance, env: config.env });
  const connectivity = createConnectivity();
  const replies = createReporter({ aws, bucket: config.bucket, log: agentLog });
  const statusLine = createStatusLine(notifier);
  const reporter = statusLine.reporter(connectivity.reporter(replies));
  const spool = createOrderSpool(config.state);
  const store = withSpooledArtifacts(spool, createArtifactStore({ aws, bucket: config.bucket }));
  const desiredStore = createDesiredStore({ aws, bucket: config.bucket, env: config.env });
  const host = createHost();
  const manifests = manifestsOf(config, aws);
  const workers = new Map<string, ServiceWorker>();
  for (const [name, service] of Object.entries(config.services)) {
    const commands = await openCommandRegistry(join(config.state, 'commands', name), stopping.signal);
    const self = isAgentItself(service) ? selfUpdateOf(config, service, connectivity, clock) : undefined;
    const pkg = createPackage(name, service, { store, manifests, commands });
    const manager = createManager(service, clock, commands);
    const worker = await openWorker({
      service: {
        name,
        checks: service.checks,
        watch: service.watch,
        hooks: service.hooks,
        reportLog: service.reportLog,
      },
      identity,
      log: agentLog,
      ports: {
        clock,
        reporter,
        host,
        package: self?.package(pkg) ?? pkg,
        manager: self?.manager(manager) ?? manager,
        probe: createHealthProbe(commands.repeatable),
        hooks: createHookRunner(commands.repeatable),
        traffic: loadBalancerOf(service, aws, identity.instance),
        journal: createJournal(journalOf(config, name)),
        desired: desiredStore,
      },
    });
    workers.set(name, worker);
  }
  // Only a convenience of the other commands: a full disk must not keep the agent from starting.
  await writeAgentPid(config.state, VERSION).catch((err) =>
    log.warn({ err }, 'the running agent is not noted'),
  );
  await runAgent(
    {
      identity,
      workers,
      inbox: statusLine.inbox(
        connectivity.inbox(
          createAgentQueue({
            aws,
            env: config.env,
            instance: identity.instance,
            topic: config.topic,
            log: agentLog,
          }),
        ),
      ),
      local: spool,
      isQueueGone,
      verifier,
      desired: createDesiredReader(desiredStore, verifier, config.env),
      reporter,
      notifier,
      clock,
      log: agentLog,
    },
    stopping.signal,
  );
  await replies.close(FLUSH_WITHIN);
  aws.close();
  await removeAgentPid(config.state).catch(() => undefined);
  log.info('stopped');
}

/** What the commands beside `run` stand on. They only look, so no command of theirs is noted as under way. */
async function wire(options: Options): Promise<Wiring> {
  const config = await loadAgentConfig(options.config);
  const aws = createAws(config);
  const clock = createClock(() => aws.now());
  const store = createArtifactStore({ aws, bucket: config.bucket });
  const serviceOf = (name: string) => {
    const service = config.services[name];
    if (!service) throw new Error(`${name} is not in the config`);
    return service;
  };
  return {
    config,
    keys: async () => (await loadVerifier(config)).kids,
    identify: (signal) => identify(config, signal),
    queueOf: (instance) =>
      createAgentQueue({ aws, env: config.env, instance, topic: config.topic, log: silentLog() }),
    putInstance: createReporter({ aws, bucket: config.bucket, log: silentLog() }).putInstance,
    probeBucket: (signal) => probeBucket(aws, config.bucket, config.env, signal),
    packageOf: (name) => createPackage(name, serviceOf(name), { store, manifests: manifestsOf(config, aws) }),
    managerOf: (name) => createManager(serviceOf(name), clock),
    probeTraffic: async (name, instance, signal) =>
      (await loadBalancerOf(serviceOf(name), aws, instance)?.probe(signal)) ?? [],
    inspect: async (name) => {
      const { package: pkg, manager } = serviceOf(name);
      const user = manager.type === 'command' ? manager.user : undefined;
      const findings = await inspectServiceDirectory(pkg.dir, user);
      return pkg.type === 'deb' ? [...findings, ...(await inspectDebService(pkg.name))] : findings;
    },
    stateOf: (name) => readJournal(journalOf(config, name)),
    probe: createHealthProbe(),
    agent: () => findRunningAgent(config.state),
    orders: createOrderSpool(config.state),
    debVersion: async (path) =>
      bareVersion((await inspectDeb(path, basename(path), AbortSignal.timeout(LOOKS_WITHIN))).version),
    close: () => aws.close(),
  };
}

/** For people where journald shows it to people; its lines carry their priority (sd-daemon(3)). */
function logFormat({ logFormat }: AgentConfig): LogFormat {
  const journal = isJournal(process.env.JOURNAL_STREAM);
  if (logFormat === 'json' || (logFormat === 'auto' && !journal)) return 'json';
  return journal ? 'journal' : 'text';
}

async function loadVerifier(config: AgentConfig): Promise<Verifier> {
  if (config.trust === 'none') return trustNone();
  return verifierOf(await Promise.all(config.trust.keys.map(loadPublicKey)));
}

async function identify(config: AgentConfig, signal: AbortSignal): Promise<Identity> {
  const about = { env: config.env, agentVersion: VERSION };
  if (config.instance !== undefined) {
    return { ...about, instance: config.instance, zone: undefined, tags: config.tags };
  }
  const { instance, zone, tags } = await readInstanceMetadata(signal, {
    endpoint: process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT,
  });
  return { ...about, instance, zone, tags: tagsOf(tags, config.tags) };
}

/** Those of the config first; as many as a record holds. */
function tagsOf(metadata: Record<string, string>, config: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...config, ...metadata, ...config }).slice(0, MOST_TAGS));
}

function createPackage(
  service: string,
  { package: pkg }: AgentServiceConfig,
  sources: { store: ArtifactStore; manifests: ManifestStore; commands?: CommandRegistry },
): PackageType {
  const options = { service, ...pkg, ...sources };
  switch (options.type) {
    case 'jar':
      return createJarPackage(options);
    case 'archive':
      return createArchivePackage(options);
    case 'deb':
      return createDebPackage(options);
  }
}

/** The agent among its own services. Its versions have a start and their checks to prove themselves. */
function selfUpdateOf(
  config: AgentConfig,
  { package: pkg, manager, checks, watch, hooks }: AgentServiceConfig,
  connectivity: Connectivity,
  clock: Clock,
): SelfUpdate {
  if (pkg.type !== 'deb' || manager.type !== 'systemd') throw new Error('the agent is a deb and a unit');
  const bounds = [
    ...checks.map((check) => check.deadline),
    ...hooks.afterStart.map((hook) => hook.timeout),
    // systemd's own wait for READY, and then that for AWS.
    2 * manager.startTimeout,
    2 * watch,
  ];
  const allHooks = Object.values(config.services).flatMap((service) => [
    ...service.hooks.beforeStop,
    ...service.hooks.afterStart,
  ]);
  return createSelfUpdate({
    guard: createGuard({
      directory: join(config.state, 'self-update'),
      script: join(dirname(process.argv[1] ?? ''), 'self-update'),
    }),
    name: pkg.name,
    unit: manager.unit,
    own: VERSION,
    process: process.env.INVOCATION_ID ?? String(process.pid),
    debOf: (version) => debIn(placesOf(pkg.dir).release(version)),
    missing: connectivity.missing,
    within: bounds.reduce((sum, ms) => sum + ms, SELF_UPDATE_SLACK),
    stopsWithin: STOPS_WITHIN + Math.max(0, ...allHooks.map((hook) => hook.timeout)),
    reachWithin: manager.startTimeout,
    lockWithin: pkg.lockTimeout,
    installWithin: pkg.installTimeout,
    clock,
  });
}

/** The keys are read when they are needed, which is seldom: before a deb that came by other means is replaced. */
function manifestsOf(config: AgentConfig, aws: Aws): ManifestStore {
  return {
    async read(service, version, signal) {
      const verifier = await loadVerifier(config);
      return createManifestStore({ aws, bucket: config.bucket, verifier }).read(service, version, signal);
    },
  };
}

/** Without `commands` for whoever only looks. */
function createManager(
  { manager }: AgentServiceConfig,
  clock: Clock,
  commands?: CommandRegistry,
): ServiceManager {
  switch (manager.type) {
    case 'systemd':
      return createSystemdManager({ ...manager, clock });
    case 'command':
      return createCommandManager({ ...manager, clock, ...(commands && { commands }) });
  }
}

function loadBalancerOf(
  { traffic }: AgentServiceConfig,
  aws: Aws,
  instance: string,
): LoadBalancer | undefined {
  return traffic && createLoadBalancer({ ...traffic, aws, instance });
}

function journalOf(config: AgentConfig, service: string) {
  return {
    path: join(config.state, 'services', `${service}.journal`),
    parse: (value: unknown) => serviceState.parse(value),
  };
}

/** One line what happened, one line what to do; everything else with --verbose. */
function fail(thrown: unknown, verbose: boolean): void {
  const error = asTriggerDeployError(thrown);
  const lines = [`trigger-deploy-agent: ${error.message}`];
  if (error.detail !== undefined) lines.push(error.detail);
  if (error.hint !== undefined) lines.push(`  → ${error.hint}`);
  if (verbose)
    lines.push(
      String(error.stack),
      ...(error.cause instanceof Error ? [`caused by ${error.cause.stack}`] : []),
    );
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exitCode =
    error.code === 'CONFIG_INVALID' || error.code === 'KEY_INVALID' || error.code === 'USAGE' ? 2 : 1;
}

const COMMANDS = {
  run,
  async check(options) {
    const findings = await wired(options, check);
    say(formatFindings(findings, options.config));
    if (findings.some((finding) => !finding.ok)) process.exitCode = 1;
  },
  async status(options) {
    const found = await wired(options, (wiring) => status(wiring, options));
    say(options.json ? JSON.stringify(found, null, 2) : formatStatus(found));
  },
  async deploy(options) {
    const done = await wired(options, (wiring) => deploy(wiring, { ...options, ...asking() }));
    if (!done) process.exitCode = 1;
  },
  async rollback(options) {
    const done = await wired(options, (wiring) => rollback(wiring, { ...options, ...asking() }));
    if (!done) process.exitCode = 1;
  },
  async leave(options) {
    say(await wired(options, leave));
  },
} satisfies { [C in CommandName]: (options: OptionsOf<C>) => Promise<void> };

/** Who asks, as far as sudo tells, and where the answer goes. */
function asking(): Pick<LocalAsked, 'by' | 'say'> {
  return { by: (process.env.SUDO_USER ?? userInfo().username).slice(0, 64), say };
}

async function wired<T>(options: Options, command: (wiring: Wiring) => Promise<T>): Promise<T> {
  const wiring = await wire(options);
  try {
    return await command(wiring);
  } finally {
    wiring.close();
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function main(argv: string[]): Promise<void> {
  try {
    const options = await parseCommandLine(argv, {
      version: VERSION,
      config: process.env.TRIGGER_DEPLOY_AGENT_CONFIG ?? DEFAULT_CONFIG_PATH,
      shown: DEFAULT_CONFIG_PATH,
    });
    if (options) await (COMMANDS[options.command] as (options: Options) => Promise<void>)(options);
  } catch (error) {
    fail(error, argv.includes('--verbose'));
  }
}

await main(hideBin(process.argv));
