import { execFile as execFileCallback, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import { lives, signalGroup } from './group.ts';
import { root as project } from './machine.ts';

/** A publisher and agents: the programs of dist/, with the flags and variables of the unit. */

const execFile = promisify(execFileCallback);
const NODE = process.execPath;
const PUBLISHER = join(project, 'dist', 'trigger-deploy.js');
const AGENT = join(project, 'dist', 'trigger-deploy-agent.js');
/** The bucket that the embedded cloud of `npm run cloud` has. */
export const BUCKET = 'acme-deploys-dev';

export interface Instances {
  readonly directory: string;
  /** What a publisher is started with; the directory has its config. */
  readonly publisher: { argv: readonly [string, string]; env: Record<string, string>; cwd: string };
  /**
   * Starts the agent of instance `number`, unless it runs; resolves when it waits for announcements, and with a desired
   * state for its services when it has converged on it.
   */
  start(number: number, services: string, desired?: 'desired'): Promise<RunningAgent>;
  /** The agent leaves: its queue and its subscription are deleted, and nobody waits for the instance. */
  leave(number: number): Promise<void>;
  running(): number[];
  /** Runs a command of the publisher to its end. @throws when it fails. */
  publish(args: readonly string[]): Promise<void>;
  stop(): Promise<void>;
}

export interface RunningAgent {
  pid: number;
  /** From exec to ready, ms; undefined when it ran already. */
  readyMs?: number;
}

export interface InstancesOptions {
  directory: string;
  /** The environment that the services are started with. */
  env?: Record<string, string>;
  cloud: { endpoint: string; topic: string };
  /** Where S3 answers, if that is another place than the cloud. */
  s3?: string;
}

/** The embedded cloud, in a process of its own. It ends on SIGTERM. */
export async function startCloudProcess(log: string, port: number) {
  const argv = [NODE, join(project, 'test/support/cloud/main.ts'), '--port', String(port)] as const;
  const pid = detached(argv, log, { PATH: process.env.PATH ?? '', HOME: dirname(log) });
  const topic = await firstMatch(log, /arn:aws:sns\S+/);
  return { endpoint: `http://127.0.0.1:${port}`, topic, stop: () => end(pid) };
}

export async function openInstances(options: InstancesOptions): Promise<Instances> {
  const { directory } = options;
  const { endpoint, topic } = options.cloud;
  const publisher = join(directory, 'publisher');
  await mkdir(join(directory, 'keys'), { recursive: true });
  await mkdir(publisher, { recursive: true });
  const aws = (accessKeyId: string) => ({
    PATH: process.env.PATH ?? '',
    HOME: directory,
    AWS_REGION: 'eu-west-1',
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: 'embedded-cloud',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL: endpoint,
    ...(options.s3 === undefined ? {} : { AWS_ENDPOINT_URL_S3: options.s3 }),
  });
  const agents = new Map<number, { pid: number; config: string; name: string }>();
  const env = aws('publisher');
  const publish = async (args: readonly string[]) => {
    await execFile(NODE, [PUBLISHER, ...args], { cwd: publisher, env });
  };
  await publish(['keygen', '--out', join(directory, 'keys'), '--name', 'ci']);
  await writeFile(
    join(publisher, 'trigger-deploy.yaml'),
    `home: dev
environments:
  dev: { region: eu-west-1, topic: "${topic}", bucket: ${BUCKET}, pathStyle: true, signingKey: ${directory}/keys/ci.key.json }
`,
  );
  const unit = await readFile(join(project, 'systemd/agent/trigger-deploy-agent.service'), 'utf8');
  const [, start = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
  const flags = start.split(' ').filter((word) => word.startsWith('--'));
  const settings = Object.fromEntries(
    [...unit.matchAll(/^Environment=([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name ?? '', value ?? '']),
  );
  let started = 0;
  const agentEnv = (name: string) => ({ ...settings, ...options.env, ...aws(`session-${name}`) });
  return {
    directory,
    publisher: { argv: [NODE, PUBLISHER], env, cwd: publisher },
    publish,
    running: () => [...agents.keys()],
    async start(number, services, desired) {
      const running = agents.get(number);
      if (running !== undefined) return { pid: running.pid };
      // Another name each time: the name of a deleted queue stays taken for a minute.
      started += 1;
      const name = `i-${started.toString(16).padStart(8, '0')}`;
      const own = join(directory, `agent${number}`);
      await mkdir(own, { recursive: true });
      const config = join(own, 'agent.yaml');
      await writeFile(
        config,
        `env: dev
region: eu-west-1
topic: "${topic}"
bucket: ${BUCKET}
pathStyle: true
trust: { keys: [${directory}/keys/ci.pub.json] }
instance: ${name}
state: ${own}/state
services:
${services}`,
      );
      const began = performance.now();
      const file = join(own, 'log');
      const pid = detached([NODE, ...flags, AGENT, 'run', '--config', config], file, agentEnv(name));
      agents.set(number, { pid, config, name });
      await firstMatch(file, /waiting for announcements/);
      const readyMs = performance.now() - began;
      if (desired !== undefined) await firstMatch(file, /"msg":"succeeded"/);
      return { pid, readyMs };
    },
    async leave(number) {
      const agent = agents.get(number);
      if (agent === undefined) return;
      await end(agent.pid);
      await execFile(NODE, [AGENT, 'leave', '--config', agent.config], { env: agentEnv(agent.name) });
      agents.delete(number);
      await rm(join(directory, `agent${number}`), { recursive: true });
    },
    async stop() {
      await Promise.all([...agents.values()].map(({ pid }) => end(pid)));
    },
  };
}

/** The config of a service in a directory of its own: a process that only sleeps. */
export function sleepingService(directory: string, name = 'app'): string {
  const pid = `${directory}/pid`;
  const start = `setsid sleep infinity </dev/null >/dev/null 2>&1 & echo $! >${pid}`;
  return `  ${name}:
    package: { type: jar, dir: ${directory} }
    manager:
      type: command
      start: [/bin/sh, -c, '${start}']
      stop: [/bin/sh, -c, 'kill $(cat ${pid})']
      status: [/bin/sh, -c, 'kill -0 $(cat ${pid})']
      pidFile: ${pid}
    checks: []
    watch: 0
`;
}

/** Starts a program in a group of its own, which writes to a file. Returns its pid. */
export function detached(
  argv: readonly [string, ...string[]],
  log: string,
  env: Record<string, string>,
): number {
  const output = openSync(log, 'a');
  const [program, ...args] = argv;
  const { pid } = spawn(program, args, { env, stdio: ['ignore', output, output], detached: true });
  closeSync(output);
  if (pid === undefined) throw new Error(`${program} cannot be started`);
  return pid;
}

/** The first text in the file that fits, now or within 30 s. */
async function firstMatch(file: string, pattern: RegExp): Promise<string> {
  for (let tries = 0; tries < 6000; tries += 1) {
    const [found] = pattern.exec(await readFile(file, 'utf8')) ?? [];
    if (found !== undefined) return found;
    await setTimeout(5);
  }
  throw new Error(`${file} has no ${pattern} after 30 s:\n${await readFile(file, 'utf8')}`);
}

async function end(pid: number): Promise<void> {
  signalGroup(pid, 'SIGTERM');
  for (let tries = 0; tries < 200 && lives(pid); tries += 1) await setTimeout(50);
  signalGroup(pid, 'SIGKILL');
}
