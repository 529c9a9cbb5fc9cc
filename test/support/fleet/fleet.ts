import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { keygen } from '../../../publisher/commands/keygen.ts';
import { type Cloud, type CloudOptions, startCloud } from '../cloud/cloud.ts';
import { freePort } from '../ports.ts';
import {
  AGENT,
  type Finished,
  type Program,
  type ProgramOptions,
  PUBLISHER,
  startProgram,
} from '../programs.ts';
import { killMarked, markOf } from './marked-processes.ts';
import { type Behaviour, packSampleService } from './sample-service/package.ts';

/**
 * A whole small world on one machine: the embedded cloud, instances that each are a directory and an agent
 * process, and a publisher to type commands at. Everything lies under one directory and goes with `stop`.
 */

export const ENV = 'dev';
export const BUCKET = 'acme-deploys-dev';
export const TOPIC = 'trigger-deploy-dev';
const REGION = 'eu-west-1';
/** An agent that stops lets its reporter speak for 3 s. */
const STOPPED_WITHIN_MS = 5000;
const CONTROL = fileURLToPath(new URL('sample-service/control.sh', import.meta.url));

/** A service as agent.yaml has it, below `services:`. */
export type ServiceYaml = Record<string, unknown>;

export interface Instance {
  readonly id: string;
  readonly dir: string;
  /** Where the sample service of this instance listens. */
  readonly port: number;
  readonly configFile: string;
  /** What its agent has logged, over all its starts. */
  readonly logFile: string;
  /** The running agent; undefined when it is stopped. */
  agent: Program | undefined;
}

export interface Fleet {
  readonly cloud: Cloud;
  readonly dir: string;
  /** The working directory of the publisher: its trigger-deploy.yaml lies here. */
  readonly publisherDir: string;
  readonly topicArn: string;
  readonly instances: Instance[];
  /** The publisher's environment. */
  readonly env: Record<string, string>;
  /**
   * A new instance, its agent running and subscribed. `services` gets the instance to name paths and ports by;
   * `settings` is more of agent.yaml.
   */
  addInstance(
    id: string,
    services?: (instance: Instance) => Record<string, ServiceYaml>,
    settings?: Record<string, unknown>,
  ): Promise<Instance>;
  startAgent(instance: Instance): Promise<void>;
  /** Ends the agent as `signal` does, and waits for it. */
  stopAgent(instance: Instance, signal?: NodeJS.Signals): Promise<Finished>;
  /** Runs `trigger-deploy …` to its end. */
  publisher(...args: string[]): Promise<Finished>;
  startPublisher(...args: string[]): Program;
  /** Any other program of this world: it ends with the fleet. */
  start(argv: readonly string[], options: ProgramOptions): Program;
  runAgentCommand(instance: Instance, ...args: string[]): Promise<Finished>;
  /** Packs a version of the sample service; returns the file. */
  pack(version: string, behaviour?: Behaviour): Promise<string>;
  /** What the sample service of this instance answers, or undefined when it does not. */
  ask(instance: Instance, path?: string): Promise<{ status: number; version: string } | undefined>;
  /**
   * Ends all of it, at any moment, also while something above is under way: every process, those that its
   * services are included, and every file. Nothing can be started afterwards.
   */
  stop(): Promise<void>;
}

/** A `command` service manager of a program that runs in `dir`, detached, its log and its pid file beside it. */
export function controlManager(dir: string, program: readonly string[]): ServiceYaml {
  const control = (action: string) => ['/bin/sh', CONTROL, action, dir, ...program];
  return {
    type: 'command',
    start: control('start'),
    stop: control('stop'),
    status: control('status'),
    pidFile: join(dir, 'service.pid'),
    log: join(dir, 'service.log'),
    startTimeout: '10s',
    stopTimeout: '5s',
  };
}

/** `payments` as the sample service under the `command` manager; a version that is not healthy by the `deadline` is a bad one. */
export function sampleService(instance: Instance, overrides: ServiceYaml = {}, deadline = '8s'): ServiceYaml {
  const dir = join(instance.dir, 'payments');
  const server = [process.execPath, join(dir, 'current', 'server.mjs'), String(instance.port)];
  return {
    package: { type: 'archive', dir },
    manager: controlManager(dir, server),
    checks: [
      {
        http: {
          url: `http://127.0.0.1:${instance.port}/health`,
          body: '"version":"{version}"',
          successes: 2,
          deadline,
        },
      },
    ],
    watch: '500ms',
    ...overrides,
  };
}

export interface FleetOptions {
  cloud?: CloudOptions;
  /** More of an agent's environment, asked for at each start: another AWS_ENDPOINT_URL, say. */
  agentEnv?: (instance: Instance) => Record<string, string>;
}

export async function startFleet(options: FleetOptions = {}): Promise<Fleet> {
  const dir = await mkdtemp(join(tmpdir(), 'trigger-deploy-'));
  const programs = new Set<Program>();
  let cloud: Cloud | undefined;
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= endAll(dir, programs, cloud);
    return stopped;
  };
  const start = (argv: readonly string[], options: ProgramOptions): Program => {
    if (stopped) throw new Error('the fleet is stopped');
    const program = startProgram(argv, { ...options, env: { ...options.env, ...markOf(dir) } });
    programs.add(program);
    void program.finished.then(() => programs.delete(program));
    return program;
  };
  try {
    cloud = await startCloud({
      ...{ region: REGION, queueRecreationMs: 500 },
      ...options.cloud,
    });
    return await furnish(dir, cloud, start, stop, options);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function furnish(
  dir: string,
  cloud: Cloud,
  start: typeof startProgram,
  stop: () => Promise<void>,
  options: FleetOptions,
): Promise<Fleet> {
  const topicArn = cloud.createTopic(TOPIC);
  cloud.createBucket(BUCKET);
  const instances: Instance[] = [];
  // The publisher is started over and over: what is compiled once halves the time of each start.
  const { NODE_COMPILE_CACHE = join(dir, 'compiled') } = process.env;
  const env = { ...cloud.env(), NO_COLOR: '1', NODE_COMPILE_CACHE };
  const publisherDir = join(dir, 'publisher');
  await mkdir(publisherDir);
  const startPublisher = (...args: string[]) => start([PUBLISHER, ...args], { env, cwd: publisherDir });
  const publisher = (...args: string[]) => startPublisher(...args).finished;

  await mkdir(join(dir, 'keys'), { mode: 0o700 });
  await keygen({ out: join(dir, 'keys'), name: 'ci' });
  await writeFile(
    join(publisherDir, 'trigger-deploy.yaml'),
    stringify({
      home: ENV,
      environments: {
        [ENV]: {
          region: REGION,
          topic: topicArn,
          bucket: BUCKET,
          pathStyle: true,
          signingKey: join(dir, 'keys', 'ci.key.json'),
        },
      },
    }),
  );

  const agentEnv = (instance: Instance) => ({
    ...cloud.env(`session-${instance.id}`),
    ...options.agentEnv?.(instance),
  });
  const agentArgs = (instance: Instance, ...args: string[]) => [
    AGENT,
    ...args,
    '--config',
    instance.configFile,
  ];

  const fleet: Fleet = {
    cloud,
    dir,
    publisherDir,
    topicArn,
    instances,
    env,
    publisher,
    startPublisher,
    start,
    async addInstance(id, services = (instance) => ({ payments: sampleService(instance) }), settings = {}) {
      const root = join(dir, id);
      await mkdir(root);
      const instance: Instance = {
        id,
        dir: root,
        port: await freePort(),
        configFile: join(root, 'agent.yaml'),
        logFile: join(root, 'agent.log'),
        agent: undefined,
      };
      const config = {
        env: ENV,
        region: REGION,
        topic: topicArn,
        bucket: BUCKET,
        pathStyle: true,
        trust: { keys: [join(dir, 'keys', 'ci.pub.json')] },
        instance: id,
        state: join(root, 'state'),
        services: services(instance),
        ...settings,
      };
      await writeFile(instance.configFile, stringify(config));
      instances.push(instance);
      await fleet.startAgent(instance);
      return instance;
    },
    async startAgent(instance) {
      instance.agent = start(agentArgs(instance, 'run'), {
        env: agentEnv(instance),
        cwd: instance.dir,
        log: instance.logFile,
      });
      await instance.agent.line((line) => line.includes('subscribed, waiting for announcements'));
    },
    async stopAgent(instance, signal = 'SIGTERM') {
      const { agent } = instance;
      if (!agent) throw new Error(`the agent of ${instance.id} does not run`);
      agent.process.kill(signal);
      const finished = await agent.finished;
      instance.agent = undefined;
      return finished;
    },
    runAgentCommand: (instance, ...args) =>
      start(agentArgs(instance, ...args), { env: agentEnv(instance), cwd: instance.dir }).finished,
    pack: (version, behaviour) => packSampleService(join(dir, 'packages'), version, behaviour),
    async ask(instance, path = '/') {
      try {
        const answer = await fetch(`http://127.0.0.1:${instance.port}${path}`, {
          signal: AbortSignal.timeout(10_000),
        });
        const { version } = (await answer.json()) as { version: string };
        return { status: answer.status, version };
      } catch {
        return undefined;
      }
    },
    stop,
  };
  return fleet;
}

/** The programs first, so that no agent starts anything again; then what they left running on purpose. */
async function endAll(dir: string, programs: ReadonlySet<Program>, cloud: Cloud | undefined): Promise<void> {
  const running = [...programs];
  for (const program of running) program.process.kill('SIGTERM');
  await Promise.race([
    Promise.allSettled(running.map((program) => program.finished)),
    sleep(STOPPED_WITHIN_MS, undefined, { ref: false }),
  ]);
  await killMarked(dir);
  await cloud?.stop();
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
}
