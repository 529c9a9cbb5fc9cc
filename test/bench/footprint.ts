import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { freePort } from '../support/ports.ts';
import { closeDirectory, makeDirectory } from './clean-up.ts';
import { type Instances, openInstances, sleepingService, startCloudProcess } from './instances.ts';
import { cpuOf, memoryOf, peakOf } from './machine.ts';
import { median } from './median.ts';
import { makeBlob } from './peers/world.ts';

/** What the programs take on their own: the CPU time of a start, and the memory and CPU time of an agent. */

export interface Footprint {
  /** CPU time of a whole process, ms; the median of `RUNS`. */
  starts: { node: number; version: number; help: number };
  /** CPU time of the process at its first request to AWS, ms; the median of `RUNS`. */
  firstCall: { status: number; deploy: number };
  agent: {
    /** From exec until it waits for announcements, ms. */
    ready: number;
    /** MB of 1,000,000 bytes. */
    idle: Memory;
    after: (Memory & { deployments: number; megabytes: number; peak: number })[];
    /** CPU time of the agent alone for one deployment, s, by size. */
    cpu: { megabytes: number; seconds: number }[];
    /** CPU time of an idle hour, s, from `IDLE_MS`. */
    idleHour: number;
  };
}
interface Memory {
  pss: number;
  privateDirty: number;
}

const RUNS = 11;
/** How long an idle agent is looked at, ms. */
const IDLE_MS = 120_000;
const DEPLOYMENTS = 20;

export async function footprint(say: (line: string) => void): Promise<Footprint> {
  const directory = await makeDirectory('footprint');
  const cloud = await startCloudProcess(join(directory, 'cloud.log'), await freePort());
  const instances = await openInstances({ directory, cloud });
  try {
    const { argv } = instances.publisher;
    const starts = {
      node: await medianCpu([argv[0], '-e', '0'], instances),
      version: await medianCpu([...argv, '--version'], instances),
      help: await medianCpu([...argv, '--help'], instances),
    };
    say(`CPU of a start, ms: ${JSON.stringify(starts)}`);
    const firstCall = {
      status: await cpuAtFirstCall(['status', 'app', '--env', 'dev'], instances),
      deploy: await cpuAtFirstCall(['app', '1.0.0', '--env', 'dev'], instances),
    };
    say(`CPU until the first request, ms: ${JSON.stringify(firstCall)}`);
    return { starts, firstCall, agent: await agentFootprint(directory, instances, say) };
  } finally {
    await instances.stop();
    await cloud.stop();
    closeDirectory(directory);
  }
}

async function agentFootprint(directory: string, instances: Instances, say: (line: string) => void) {
  const service = join(directory, 'service');
  const { pid, readyMs = 0 } = await instances.start(1, sleepingService(service));
  await setTimeout(5000);
  const idle = memoryOf(pid);
  say(`agent: ready after ${Math.round(readyMs)} ms, ${JSON.stringify(idle)}`);
  const began = cpuOf(pid);
  await setTimeout(IDLE_MS);
  const idleHour = ((cpuOf(pid) - began) / IDLE_MS) * 3_600_000;
  const after: Footprint['agent']['after'] = [];
  const cpu: Footprint['agent']['cpu'] = [];
  let count = 0;
  for (const [megabytes, deployments] of [
    [10, DEPLOYMENTS],
    [100, DEPLOYMENTS],
    [1000, 1],
  ] as const) {
    const blob = await makeBlob(directory, megabytes);
    const jar = join(directory, 'app.jar');
    await writeFile(jar, await readFile(blob.file));
    const before = cpuOf(pid);
    for (let n = 0; n < deployments; n += 1) {
      count += 1;
      const version = `1.0.${count}`;
      await instances.publish(['push', 'app', version, jar, '--output', 'lines']);
      await instances.publish(['app', version, '--env', 'dev', '--output', 'lines', '--timeout', '2m']);
    }
    await setTimeout(5000);
    cpu.push({ megabytes, seconds: (cpuOf(pid) - before) / deployments });
    after.push({ deployments, megabytes, ...memoryOf(pid), peak: peakOf(pid) });
    say(`agent after ${deployments} deployments of ${megabytes} MB: ${JSON.stringify(after.at(-1))}`);
    await rm(blob.file);
  }
  return { ready: readyMs, idle, after, cpu, idleHour };
}

/** The CPU time of the process to its end, ms: the median of several. */
async function medianCpu(argv: readonly string[], { publisher }: Instances): Promise<number> {
  const script = `TIMEFORMAT='%3U %3S'; { time "$@" >/dev/null 2>&1; } 2>&1`;
  const values: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const { env, cwd } = publisher;
    const child = spawn('/bin/bash', ['-c', script, 'bash', ...argv], {
      env,
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [text] = await once(child.stdout, 'data');
    const [user = 0, system = 0] = String(text).trim().split(' ').map(Number);
    values.push((user + system) * 1000);
  }
  return median(values) ?? 0;
}

/** The CPU time that the command has used when its first request arrives, ms: the median of several. */
async function cpuAtFirstCall(args: readonly string[], { publisher }: Instances): Promise<number> {
  const values: number[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const env = { ...publisher.env, AWS_ENDPOINT_URL: `http://127.0.0.1:${port}` };
    const child = spawn(publisher.argv[0], [publisher.argv[1], ...args], {
      env,
      cwd: publisher.cwd,
      stdio: 'ignore',
    });
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`${args.join(' ')} ended with ${code} before its first request`);
    });
    await Promise.race([once(server, 'connection'), ended]);
    ended.catch(() => undefined);
    if (child.pid !== undefined) values.push(cpuOf(child.pid) * 1000);
    child.kill('SIGKILL');
    server.closeAllConnections();
    server.close();
  }
  return median(values) ?? 0;
}
