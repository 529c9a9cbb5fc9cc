import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { hideBin } from 'yargs/helpers';
import packageJson from '../package.json' with { type: 'json' };
import { type Aws, createAws } from '../shared/aws.ts';
import { asTriggerDeployError, TriggerDeployError } from '../shared/errors.ts';
import { createLog, type Log, silentLog } from '../shared/log.ts';
import { retry } from '../shared/retry.ts';
import { loadPublicKey, trustNone, type Verifier, verifierOf } from '../shared/signing.ts';
import { type Notifier, runAgent } from './agent.ts';
import { createArtifactStore, createDesiredStore, probeBucket } from './aws/artifacts.ts';
import { readIdentity } from './aws/identity.ts';
import { createAgentQueue, isQueueGone } from './aws/queue.ts';
import { createReporter } from './aws/reports.ts';
import { type CommandName, type Options, parseCommandLine } from './cli.ts';
import { check, formatFindings } from './commands/check.ts';
import { leave } from './commands/leave.ts';
import { formatStatus, status } from './commands/status.ts';
import type { Wiring } from './commands/wiring.ts';
import { type AgentConfig, type AgentServiceConfig, DEFAULT_CONFIG_PATH, loadAgentConfig } from './config.ts';
import { createDesiredReader } from './deploy/converge.ts';
import type { ArtifactStore, Clock, Identity, PackageType, ServiceManager } from './deploy/ports.ts';
import { serviceState } from './deploy/state.ts';
import { openWorker, type ServiceWorker } from './deploy/worker.ts';
import { createArchivePackage } from './host/archive.ts';
import { createCommandManager } from './host/command.ts';
import { createHealthProbe } from './host/health.ts';
import { createHookRunner } from './host/hooks.ts';
import { createJarPackage } from './host/jar.ts';
import { createJournal, readJournal } from './host/journal.ts';
import { type Commands, openCommands } from './host/leftovers.ts';
import { createHost } from './host/machine.ts';
import { createNotifier } from './host/notify.ts';
import { inspectServiceDirectory } from './host/ownership.ts';
import { createSystemdManager } from './host/systemd.ts';

/** Composition root of trigger-deploy-agent: the only file that reads the environment, signals and exit codes. */

const VERSION = packageJson.version;

/** A stop must not outlast what the reporter has to say. ms */
const FLUSH_WITHIN = 3000;

async function run(options: Options): Promise<void> {
  const config = await loadAgentConfig(options.config);
  const log = createLog(options.verbose ? 'debug' : config.logLevel, { program: 'trigger-deploy-agent' });
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      log.info({ signal: name }, 'stopping: deployments checkpoint and go on at the next start');
      stopping.abort(new TriggerDeployError('INTERRUPTED', `the agent was stopped by ${name}`));
    });
  }
  const verifier = await loadVerifier(config);
  const notifier = createNotifier(process.env);
  const identity = await identifyPatiently(config, notifier, log, stopping.signal);
  const aws = createAws(config);
  const clock = createClock(aws);
  const agentLog = log.child({ instance: identity.instance, env: config.env });
  const reporter = createReporter({ aws, bucket: config.bucket, log: agentLog });
  const store = createArtifactStore({ aws, bucket: config.bucket });
  const desiredStore = createDesiredStore({ aws, bucket: config.bucket, env: config.env });
  const host = createHost();
  const workers = new Map<string, ServiceWorker>();
  for (const [name, service] of Object.entries(config.services)) {
    const commands = await openCommands(join(config.state, 'commands', name), stopping.signal);
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
        package: createPackage(name, service, store),
        manager: createManager(service, clock, commands),
        probe: createHealthProbe(commands.repeatable),
        hooks: createHookRunner(commands.repeatable),
        journal: createJournal(journalOf(config, name)),
        desired: desiredStore,
      },
    });
    workers.set(name, worker);
  }
  await runAgent(
    {
      identity,
      workers,
      inbox: createAgentQueue({
        aws,
        env: config.env,
        instance: identity.instance,
        topic: config.topic,
        log: agentLog,
      }),
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
  await reporter.close(FLUSH_WITHIN);
  aws.close();
  log.info('stopped');
}

/** What the commands beside `run` stand on. They only look, so no command of theirs is noted as under way. */
async function wire(options: Options): Promise<Wiring> {
  const config = await loadAgentConfig(options.config);
  const aws = createAws(config);
  const clock = createClock(aws);
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
    probeBucket: (signal) => probeBucket(aws, config.bucket, config.env, signal),
    packageOf: (name) => createPackage(name, serviceOf(name), store),
    managerOf: (name) => createManager(serviceOf(name), clock),
    inspect: (name) => {
      const { package: pkg, manager } = serviceOf(name);
      return inspectServiceDirectory(pkg.dir, manager.type === 'command' ? manager.user : undefined);
    },
    stateOf: (name) => readJournal(journalOf(config, name)),
    close: () => aws.close(),
  };
}

async function loadVerifier(config: AgentConfig): Promise<Verifier> {
  if (config.trust === 'none') return trustNone();
  return verifierOf(await Promise.all(config.trust.keys.map(loadPublicKey)));
}

async function identify(config: AgentConfig, signal: AbortSignal): Promise<Identity> {
  const about = { env: config.env, agentVersion: VERSION };
  if (config.instance !== undefined) return { ...about, instance: config.instance, zone: undefined };
  const { instance, zone } = await readIdentity(signal, {
    endpoint: process.env.AWS_EC2_METADATA_SERVICE_ENDPOINT,
  });
  return { ...about, instance, zone };
}

/** Without metadata the agent waits, ready: what is ordered after it must boot, and a restart would not help. */
async function identifyPatiently(
  config: AgentConfig,
  notifier: Notifier,
  log: Log,
  signal: AbortSignal,
): Promise<Identity> {
  return await retry(() => identify(config, signal), {
    attempts: Number.POSITIVE_INFINITY,
    first: 1000,
    longest: 60_000,
    signal,
    retryable: (error) => {
      log.error({ err: error }, 'waiting for the instance metadata');
      void notifier.ready();
      notifier.status('waiting for the instance metadata');
      return true;
    },
  });
}

function createClock(aws: Aws): Clock {
  return {
    now: () => aws.now(),
    monotonic: () => performance.now(),
    sleep: (ms, signal) => sleep(ms, undefined, { signal }),
  };
}

function createPackage(
  service: string,
  { package: pkg }: AgentServiceConfig,
  store: ArtifactStore,
): PackageType {
  const options = { service, dir: pkg.dir, keep: pkg.keep, adopt: pkg.adopt, store };
  switch (pkg.type) {
    case 'jar':
      return createJarPackage(options);
    case 'archive':
      return createArchivePackage(options);
  }
}

/** Without `commands` for whoever only looks. */
function createManager({ manager }: AgentServiceConfig, clock: Clock, commands?: Commands): ServiceManager {
  switch (manager.type) {
    case 'systemd':
      return createSystemdManager({ ...manager, clock });
    case 'command':
      return createCommandManager({ ...manager, clock, ...(commands && { commands }) });
  }
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
    const rows = await wired(options, status);
    say(options.json ? JSON.stringify(rows, null, 2) : formatStatus(rows));
  },
  async leave(options) {
    say(await wired(options, leave));
  },
} satisfies Record<CommandName, (options: Options) => Promise<void>>;

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
    if (options) await COMMANDS[options.command](options);
  } catch (error) {
    fail(error, argv.includes('--verbose'));
  }
}

await main(hideBin(process.argv));
