import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import yargs from 'yargs';
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
import { type Finding, formatFindings, look } from './check.ts';
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
import { formatStatus, statusRow } from './status.ts';

/** Composition root of trigger-deploy-agent: the only file that reads the environment, signals and exit codes. */

const VERSION = packageJson.version;

interface Options {
  config: string;
  verbose: boolean;
  json: boolean;
}

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

async function check(options: Options): Promise<void> {
  const config = await loadAgentConfig(options.config);
  const signal = AbortSignal.timeout(30_000);
  const aws = createAws(config);
  const findings: Finding[] = [{ ok: true, what: `config ${options.config}` }];
  findings.push(
    ...(await look('keys', async () => {
      const { kids } = await loadVerifier(config);
      if (kids.length === 0) {
        return [{ ok: true, what: 'trust: none — whoever may publish to the topic deploys here' }];
      }
      return kids.map((kid) => ({ ok: true, what: `key ${kid}` }));
    })),
    ...(await look('identity', async () => {
      const identity = await identify(config, signal);
      const queue = createAgentQueue({
        aws,
        env: config.env,
        instance: identity.instance,
        topic: config.topic,
        log: silentLog(),
      });
      return [{ ok: true, what: `instance ${identity.instance}` }, ...(await queue.probe(signal))];
    })),
    ...(await look('bucket', () => probeBucket(aws, config.bucket, config.env, signal))),
  );
  for (const [name, service] of Object.entries(config.services)) {
    findings.push(
      ...(await look(`service ${name}`, () => inspectService(name, service, createClock(aws), signal))),
    );
  }
  aws.close();
  process.stdout.write(`${formatFindings(findings)}\n`);
  if (findings.some((finding) => !finding.ok)) process.exitCode = 1;
}

async function inspectService(
  name: string,
  service: AgentServiceConfig,
  clock: Clock,
  signal: AbortSignal,
): Promise<Finding[]> {
  const serviceUser = service.manager.type === 'command' ? service.manager.user : undefined;
  const problems = await inspectServiceDirectory(service.package.dir, serviceUser);
  const paths = problems.map(({ problem, hint }) => ({
    ok: false,
    what: `service ${name}: ${problem}`,
    hint,
  }));
  const { summary } = await createManager(service, clock).status(signal);
  const unit = service.manager.type === 'systemd' ? `unit ${service.manager.unit}` : 'status command';
  return [
    ...(paths.length > 0 ? paths : [{ ok: true, what: `service ${name}: ${service.package.dir}` }]),
    summary.includes('not-found')
      ? {
          ok: false,
          what: `service ${name}: ${unit} does not exist`,
          hint: 'install the unit, then systemctl daemon-reload',
        }
      : { ok: true, what: `service ${name}: ${unit}: ${summary}` },
  ];
}

async function status(options: Options): Promise<void> {
  const config = await loadAgentConfig(options.config);
  const aws = createAws(config);
  const clock = createClock(aws);
  const signal = AbortSignal.timeout(10_000);
  const rows = await Promise.all(
    Object.entries(config.services).map(async ([name, service]) => {
      const state = await readJournal(journalOf(config, name));
      const version = await createPackage(
        name,
        service,
        createArtifactStore({ aws, bucket: config.bucket }),
      ).current();
      const unit = await createManager(service, clock)
        .status(signal)
        .then((found) => found.summary)
        .catch((error) => asTriggerDeployError(error).message);
      return statusRow(name, { state, version, unit });
    }),
  );
  aws.close();
  process.stdout.write(options.json ? `${JSON.stringify(rows, null, 2)}\n` : `${formatStatus(rows)}\n`);
}

async function leave(options: Options): Promise<void> {
  const config = await loadAgentConfig(options.config);
  const signal = AbortSignal.timeout(60_000);
  const { instance } = await identify(config, signal);
  const aws = createAws(config);
  const queue = createAgentQueue({ aws, env: config.env, instance, topic: config.topic, log: silentLog() });
  await queue.leave(signal);
  aws.close();
  process.stdout.write(
    `${instance} has left ${config.env}: its queue and subscription are gone, its services run on\n`,
  );
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

const COMMANDS: Record<string, (options: Options) => Promise<void>> = { run, check, status, leave };

async function main(argv: string[]): Promise<void> {
  let verbose = argv.includes('--verbose');
  try {
    const options = await yargs(argv)
      .scriptName('trigger-deploy-agent')
      .usage(
        '$0 <command>\n\nThe agent of trigger-deploy: deploys what is announced for the services of its config.',
      )
      .command('run', 'wait for announcements and deploy (what systemd runs)')
      .command('check', 'look for everything that would go wrong: config, keys, AWS, units, paths')
      .command('status', 'what this instance runs; --json for machines')
      .command('leave', 'take this instance out: remove its queue and subscription')
      .option('config', {
        type: 'string',
        default: process.env.TRIGGER_DEPLOY_AGENT_CONFIG ?? DEFAULT_CONFIG_PATH,
        defaultDescription: DEFAULT_CONFIG_PATH,
        describe: 'agent.yaml; TRIGGER_DEPLOY_AGENT_CONFIG names it, too',
      })
      .option('verbose', {
        type: 'boolean',
        default: false,
        describe: 'say more: debug lines, causes of errors',
      })
      .option('json', { type: 'boolean', default: false, describe: 'with status: for machines' })
      .example('$0 check', 'is everything as it has to be?')
      .example('$0 run --config ./agent.yaml', 'run in the foreground')
      .example('$0 status --json', 'what runs here, for a script')
      .epilogue('Exit codes: 0 well, 1 something is wrong, 2 bad usage or config.')
      .demandCommand(1, 1, 'say what to do: run, check, status or leave')
      .strict()
      .version(VERSION)
      .help()
      .exitProcess(false)
      .fail((message, error) => {
        throw (
          error ?? new TriggerDeployError('USAGE', message, { hint: 'trigger-deploy-agent --help shows how' })
        );
      })
      .parseAsync();
    verbose = options.verbose;
    await COMMANDS[String(options._[0])]?.(options);
  } catch (error) {
    fail(error, verbose);
  }
}

await main(hideBin(process.argv));
