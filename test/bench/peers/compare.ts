import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { closeDirectory, endAll, makeDirectory } from '../clean-up.ts';
import { type Account, CORES, machineCpu } from '../machine.ts';
import type { Peer } from './peer.ts';
import { openPeer, PEERS, type PeerName } from './peers.ts';
import { type Blob, makeBlob, openWorld, type World } from './world.ts';

/** Each tool deploys the same files to the same hosts, in turn; each deployment is checked without the tool. */

export interface CompareOptions {
  hosts: readonly number[];
  megabytes: readonly number[];
  rounds: number;
  peers: readonly PeerName[];
  /** No round of a row begins after this time, ms since the epoch. */
  until: number;
  account: Account;
  say(line: string): void;
}

/** One deployment by one tool. */
export interface Run {
  round: number;
  megabytes: number;
  hosts: number;
  peer: PeerName;
  /** From the start of the command to its end, s. */
  wall: number;
  /** From the start of the command until the last host listens, s. */
  up: number;
  /** CPU time of both ends, s. */
  cpu: number;
  /** CPU time of the command and its children, s. */
  client: number;
  /** The share of the machine that other programs used, 0 to 1. */
  others: number;
}

/** A deployment that takes longer is ended and fails the comparison, ms. */
const RUN_LIMIT = 150_000;

/**
 * For each round, each size and number of hosts, each tool: so that drift and noise fall on all tools alike, and a ratio
 * can be taken within a round. @throws when a deployment fails or leaves a host wrong.
 */
export async function compare(options: CompareOptions): Promise<Run[]> {
  const root = await makeDirectory('bench');
  let files: 'remove' | 'keep' = 'remove';
  try {
    return await compareIn(root, options);
  } catch (error) {
    options.say(`the logs stay in ${root}`);
    files = 'keep';
    throw error;
  } finally {
    endAll(options.account.others);
    closeDirectory(root, files);
  }
}

async function compareIn(root: string, options: CompareOptions): Promise<Run[]> {
  const runs: Run[] = [];
  const world = await openWorld(root, Math.max(...options.hosts));
  const peers = new Map<PeerName, Peer>();
  try {
    for (const name of PEERS) if (options.peers.includes(name)) peers.set(name, await openPeer(name, world));
    const blobs = new Map<number, Blob>();
    for (const size of options.megabytes) blobs.set(size, await makeBlob(root, size));
    const cells = options.megabytes
      .flatMap((megabytes) => options.hosts.map((hosts) => ({ megabytes, hosts })))
      .sort((a, b) => a.hosts - b.hosts || a.megabytes - b.megabytes);
    let count = 0;
    for (let round = 1; round <= options.rounds; round += 1)
      for (const { megabytes, hosts } of cells) {
        if (Date.now() > options.until) return runs;
        for (const [name, peer] of peers) {
          count += 1;
          const version = `${megabytes}mb-${count}`;
          const blob = blobs.get(megabytes);
          if (blob === undefined) throw new Error(`no file of ${megabytes} MB`);
          const run = await deployOnce(world, peer, { hosts, version, blob, account: options.account });
          runs.push({ round, megabytes, hosts, peer: name, ...run });
          options.say(
            `${round}  ${megabytes} MB  ${hosts} hosts  ${name}: ${run.wall.toFixed(2)} s, CPU ${run.cpu.toFixed(2)} s, of it client ${run.client.toFixed(2)} s; others ${Math.round(run.others * 100)} %`,
          );
        }
      }
    return runs;
  } finally {
    for (const peer of peers.values()) await peer.stop?.();
    await world.stop();
  }
}

interface Deployment {
  hosts: number;
  version: string;
  blob: Blob;
  account: Account;
}

async function deployOnce(world: World, peer: Peer, { hosts, version, blob, account }: Deployment) {
  await world.publish(version, blob);
  await world.prune();
  await peer.prepare?.(hosts, version);
  const { argv, env, cwd } = peer.command(hosts, version);
  const log = join(world.root, 'log', `${peer.name}.log`);
  const times = join(world.root, 'log', 'times');
  const output = openSync(log, 'a');
  // bash's own `time`: the CPU time of the command and of the children that it has waited for.
  const script = `TIMEFORMAT='%3U %3S'; { time "$@" 2>&3 3>&-; } 3>&2 2>"$BENCH_TIMES"`;
  const before = { machine: machineCpu(), cpu: account.cpu(), began: Date.now(), at: performance.now() };
  const child = spawn('/bin/bash', ['-c', script, 'bash', ...argv], {
    cwd,
    env: { ...env, BENCH_TIMES: times },
    stdio: ['ignore', output, output],
    detached: true,
    timeout: RUN_LIMIT,
    killSignal: 'SIGKILL',
  });
  const [code] = await once(child, 'exit');
  const wall = (performance.now() - before.at) / 1000;
  const cpu = account.cpu() - before.cpu;
  const machine = machineCpu() - before.machine;
  closeSync(output);
  const wrong = code === 0 ? await world.check(hosts, version, blob) : `the command ended with ${code}`;
  if (wrong !== undefined)
    throw new Error(`${peer.name}, ${hosts} hosts: ${wrong}\n${(await readFile(log, 'utf8')).slice(-2000)}`);
  const [user = 0, system = 0] = (await readFile(times, 'utf8')).trim().split(' ').map(Number);
  const up = ((await world.readyAt(hosts)) - before.began) / 1000;
  await rm(join(world.published, version), { recursive: true });
  return { wall, up, cpu, client: user + system, others: Math.max(0, (machine - cpu) / (wall * CORES)) };
}
