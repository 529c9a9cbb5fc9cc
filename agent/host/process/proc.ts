import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

/** What the kernel tells of processes: proc_pid_stat(5). One that has ended and waits to be reaped is none. */

export interface LiveProcess {
  pid: number;
  group: number;
  /** Clock ticks since the boot at which it started: with the pid, it names the process for good. */
  startTime: string;
}

export async function findProcess(pid: number): Promise<LiveProcess | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined ? undefined : parseStat(pid, stat);
}

/** `findProcess` without giving up the turn: for what must be noted before anything else can happen. */
export function findProcessNow(pid: number): LiveProcess | undefined {
  try {
    return parseStat(pid, readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

function parseStat(pid: number, stat: string): LiveProcess | undefined {
  // The second field is the command's name in parentheses and may hold anything; `state` follows the last.
  const [state, , group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [threads, startTime] = [Number(rest[14]), rest[16]];
  if (startTime === undefined || state === 'X') return undefined;
  // While other threads of it are still ending, its files and sockets are open, and it has not ended.
  if (state === 'Z' && threads <= 1) return undefined;
  return { pid, group: Number(group), startTime };
}

/** The real and the saved user of a process: proc_pid_status(5). Undefined once it is gone. */
export async function usersOf(pid: number): Promise<{ real: number; saved: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, real, saved] = /^Uid:\t(\d+)\t\d+\t(\d+)\t/m.exec(status) ?? [];
  return real === undefined || saved === undefined ? undefined : { real: Number(real), saved: Number(saved) };
}

/** Who runs in the process group. */
export async function groupMembers(group: number): Promise<number[]> {
  const members: number[] = [];
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await findProcess(Number(name)))?.group === group) members.push(Number(name));
  }
  return members;
}

/** Whether anyone still runs in the process group. */
export async function isGroupAlive(group: number): Promise<boolean> {
  // Zombies answer to signals, too: only where there is an answer is it worth to look closer.
  if (!signalGroup(group, 0)) return false;
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await findProcess(Number(name)))?.group === group) return true;
  }
  return false;
}

/** Whether anybody was there to hear it. A pid stays reserved while it is the id of a living group. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}
