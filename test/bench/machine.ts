import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

/** The machine that a benchmark runs on, and how much of it is used, and by whom. */

/** Ticks of a second in /proc: proc_stat(5). It is 100 on each Linux that Node supports. */
const TICKS = 100;
export const CORES = cpus().length;

/** `AMD EPYC, 2 cores, 24 GiB, Debian GNU/Linux 12 (bookworm), Linux 6.1.0, Node v24.1.0`. */
export function describeMachine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown CPU';
  const system =
    /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown system';
  const kernel = release().split('-')[0];
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return [model, `${CORES} cores`, memory, system, `Linux ${kernel}`, `Node ${process.version}`].join(', ');
}

/** CPU time that the whole machine has used since it started, s. It includes interrupts and what the host took. */
export function machineCpu(): number {
  const [first = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const [user, nice, system, , , irq, softirq, steal] = first.split(/\s+/).slice(1).map(Number);
  const used = [user, nice, system, irq, softirq, steal].map((ticks) => ticks ?? 0);
  return used.reduce((sum, ticks) => sum + ticks, 0) / TICKS;
}

/** The share of the machine's CPU that is used within `ms`, 0 to 1. */
export async function load(ms: number): Promise<number> {
  const [cpu, time] = [machineCpu(), performance.now()];
  await setTimeout(ms);
  return (machineCpu() - cpu) / (((performance.now() - time) / 1000) * CORES);
}

/** CPU time of a process without its children, s: proc_pid_stat(5). */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name of the program, in parentheses, may contain anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

/** Memory of a process, MB of 1,000,000 bytes: proc_pid_smaps(5). */
export function memoryOf(pid: number): { pss: number; privateDirty: number } {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const value = (name: string) =>
    (Number(new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(rollup)?.[1]) * 1024) / 1e6;
  return { pss: value('Pss'), privateDirty: value('Private_Dirty') };
}

/** The most memory that the process has had at any time, MB of 1,000,000 bytes: proc_pid_status(5). */
export function peakOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6;
}

/** A control group that accounts the CPU time of this process and of everything that it starts: cgroups(7). */
export interface Account {
  /** CPU time so far, s. */
  cpu(): number;
  /** The processes in it, without this one. */
  others(): number[];
  close(): void;
}

/** @throws when the control groups of this machine cannot be written. */
export function openAccount(): Account {
  const own = readFileSync('/proc/self/cgroup', 'utf8');
  const first = /^\d+:(?:[^:]*,)?cpuacct(?:,[^:]*)?:(.*)$/m.exec(own)?.[1];
  const base = first === undefined ? '/sys/fs/cgroup' : '/sys/fs/cgroup/cpuacct';
  const before = join(base, first ?? /^0::(.*)$/m.exec(own)?.[1] ?? '/');
  const group = join(base, `trigger-deploy-bench-${process.pid}`);
  mkdirSync(group);
  const enter = (directory: string) => writeFileSync(join(directory, 'cgroup.procs'), String(process.pid));
  enter(group);
  return {
    cpu() {
      if (first !== undefined) return Number(readFileSync(join(group, 'cpuacct.usage'), 'utf8')) / 1e9;
      return Number(/^usage_usec (\d+)$/m.exec(readFileSync(join(group, 'cpu.stat'), 'utf8'))?.[1]) / 1e6;
    },
    others() {
      const pids = readFileSync(join(group, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
      return pids.filter((pid) => pid !== process.pid);
    },
    close() {
      enter(before);
      rmdirSync(group);
    },
  };
}

/** Those packages of Debian that are not installed. */
export const missingPackages = (names: readonly string[]): string[] =>
  names.filter((name) => versionOfPackage(name) === undefined);

/** The version of an installed package: dpkg-query(1). */
export function versionOfPackage(name: string): string | undefined {
  try {
    const line = execFileSync('dpkg-query', ['--show', name], { stdio: ['ignore', 'pipe', 'ignore'] });
    return line.toString().trim().split('\t')[1] || undefined;
  } catch {
    return undefined;
  }
}

/** The directory of the project. */
export const root = dirname(dirname(import.meta.dirname));
