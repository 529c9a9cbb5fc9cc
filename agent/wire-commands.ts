import { type Aws, createAws } from '../shared/aws.ts';
import { callerUserId } from '../shared/caller-identity.ts';
import { createClock } from '../shared/clock.ts';
import { silentLog } from '../shared/log.ts';
import { probeUserId } from './aws/own-user-id.ts';
import { createAgentQueue } from './aws/queue.ts';
import { createReporter } from './aws/reporter.ts';
import { createArtifactStore, probeBucket } from './aws/s3-stores.ts';
import { check, findingsJson, formatFindings } from './commands/check.ts';
import type {
  CheckDeps,
  CheckedService,
  CheckProbes,
  LeaveDeps,
  LocalDeployDeps,
  StatusDeps,
} from './commands/deps.ts';
import { leave } from './commands/leave.ts';
import { deploy, rollback } from './commands/local-deploy.ts';
import { status } from './commands/status.ts';
import { formatStatus } from './commands/status-table.ts';
import { type AgentConfig, agentItself, loadAgentConfig } from './config.ts';
import { AGENT_UNIT, runAs, userOfAgent } from './host/process/agent-user.ts';
import { inspectServiceDirectory } from './host/releases/ownership.ts';
import { createHealthProbe } from './host/services/health.ts';
import { findRunningAgent } from './host/state/agent-pid.ts';
import { readJournal } from './host/state/journal.ts';
import { createLifeFile } from './host/state/life-file.ts';
import { createOrderSpool } from './host/state/order-spool.ts';
import { lifeState } from './life/life-state.ts';
import type { Options } from './options.ts';
import { identify, loadVerifier, placesOf } from './wire-instance.ts';
import {
  createManager,
  createManifests,
  createPackage,
  createServiceReadiness,
  createTraffic,
  journalOf,
  serviceUserOf,
} from './wire-service.ts';

/** How long systemd and the database of users may take to answer, ms. */
const ASK_WITHIN = 40_000;

/** Runs all commands except `run`: decides which adapter is behind which dependency. */

/**
 * Runs a command; returns whether it succeeded. `by` returns the user who gives an order; `say` prints lines;
 * `tell` prints what the command waits for.
 * @throws CONFIG_INVALID, and what the command throws.
 */
export async function runCommand(
  options: Exclude<Options, { command: 'run' }>,
  { by, say, tell }: { by: () => string; say: (line: string) => void; tell: (line: string) => void },
): Promise<boolean> {
  if (options.command === 'check') {
    const result = await checkAsAgent(tell);
    if (result !== undefined) return result === 0;
  }
  const config = await loadAgentConfig(options.config);
  const aws = createAws({ ...config, places: placesOf(options.config) }, { onSlow: tell });
  try {
    switch (options.command) {
      case 'check': {
        const { checkProbes } = await import('./wire-check.ts');
        const findings = await check(checkDeps(config, aws, checkProbes(config, aws)));
        say((options.json ? findingsJson : formatFindings)(findings, options.config));
        return findings.every((finding) => finding.ok);
      }
      case 'status': {
        const found = await status(statusDeps(config, aws), options);
        say(options.json ? JSON.stringify(found, null, 2) : formatStatus(found));
        return true;
      }
      case 'deploy':
        return await deploy(localDeployDeps(config, aws), { ...options, by: by(), say });
      case 'rollback':
        return await rollback(localDeployDeps(config, aws), { ...options, by: by(), say });
      case 'leave':
        say(await leave(leaveDeps(config, aws)));
        return true;
    }
  } finally {
    aws.close();
  }
}

/**
 * Runs this `check` again as the user of the agent's unit, because what root may read, write and execute says nothing
 * about the agent. Returns the exit code; undefined if this process is to check, as it does unless it is root.
 */
async function checkAsAgent(tell: (line: string) => void): Promise<number | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const signal = AbortSignal.timeout(ASK_WITHIN);
  const user = await userOfAgent(signal);
  if (user === undefined) return undefined;
  tell(`the agent runs as ${user} (User= of ${AGENT_UNIT}): this looks with the rights of that user`);
  return await runAs(user, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], signal);
}

function checkDeps(config: AgentConfig, aws: Aws, { environment, ofService }: CheckProbes): CheckDeps {
  return {
    ...instanceDeps(config, aws),
    trustedKeys: async () => (await loadVerifier(config)).kids,
    probeUserId: (instance, signal) => probeUserId(aws, { instance, session: config.session }, signal),
    probeBucket: (signal) => probeBucket(aws, config.bucket, config.env, signal),
    environment,
    services: servicesOf(config, aws).map((one) => {
      const service = config.services[one.name];
      return { ...one, probes: service ? ofService(one.name, service, one.package) : [] };
    }),
  };
}

function statusDeps(config: AgentConfig, aws: Aws): StatusDeps {
  return {
    ...instanceDeps(config, aws),
    env: config.env,
    async notice() {
      const found = config.lifecycle && (await createLifeFile(config.state, lifeState.parse).load());
      if (!found?.notice) return undefined;
      const { kind, at } = found.notice;
      return { kind, left: found.left, ...(at !== undefined && { at: new Date(at).toISOString() }) };
    },
    configured: { instance: config.instance, tags: config.tags },
    services: servicesOf(config, aws),
    probe: createHealthProbe(),
  };
}

function localDeployDeps(config: AgentConfig, aws: Aws): LocalDeployDeps {
  return {
    ...instanceDeps(config, aws),
    services: servicesOf(config, aws),
    orders: createOrderSpool(config.state),
  };
}

function leaveDeps(config: AgentConfig, aws: Aws): LeaveDeps {
  const { env, bucket } = config;
  return {
    env,
    services: Object.keys(config.services),
    identify: (signal) => identify(config, signal),
    removeQueue: (instance, signal) => queueOf(config, aws, instance).leave(signal),
    putInstance: createReporter({
      ...{ aws, bucket, clock: createClock(() => aws.now()), log: silentLog() },
      userId: (signal) => callerUserId(aws, signal),
    }).putInstance,
  };
}

function instanceDeps(config: AgentConfig, aws: Aws) {
  return {
    identify: (signal: AbortSignal) => identify(config, signal),
    probeQueue: (instance: string, signal: AbortSignal) => queueOf(config, aws, instance).probe(signal),
    runningAgent: () => findRunningAgent(config.state),
  };
}

function queueOf({ env, topic }: AgentConfig, aws: Aws, instance: string) {
  const userId = (signal: AbortSignal) => callerUserId(aws, signal);
  return createAgentQueue({ ...{ aws, env, instance, topic, log: silentLog(), userId } });
}

/** Every service of the config. The processes that they start (checks, status) are in no command registry. */
function servicesOf(config: AgentConfig, aws: Aws) {
  const clock = createClock(() => aws.now());
  const store = createArtifactStore({ aws, bucket: config.bucket });
  const manifests = createManifests(config, aws);
  return Object.entries(config.services).map(([name, service]) => {
    const { package: pkg, manager, checks, traffic } = service;
    const serviceUser = serviceUserOf(service);
    const probeTraffic: CheckedService['probeTraffic'] = async (instance, signal) =>
      (await (await createTraffic(service, aws, instance))?.probe(signal)) ?? [];
    return {
      name,
      checks,
      dir: pkg.dir,
      // The agent itself compares its version when it deploys itself.
      namesVersion: agentItself(service) !== undefined || JSON.stringify(checks).includes('{version}'),
      package: createPackage(pkg, { service: name, store, manifests, serviceUser }),
      manager: createManager(service, { env: config.env, service: name }, clock),
      statusSource: manager.type === 'systemd' ? `unit ${manager.unit}` : 'status command',
      state: () => readJournal(journalOf(config, name)),
      readiness: createServiceReadiness(name, service),
      inspectDirectory: () => inspectServiceDirectory(pkg.dir, serviceUser),
      probeTraffic: traffic && probeTraffic,
    };
  });
}
