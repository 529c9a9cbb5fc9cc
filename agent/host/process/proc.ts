import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

/** Processes as the kernel shows them: proc_pid_stat(5). A zombie does not count as a process. */

export interface LiveProcess {
  pid: number;
  group: number;
  /** When it started, in clock ticks since the boot: together with the pid it identifies the process. */
  startTime: string;
}

export async function findProcess(pid: number): Promise<LiveProcess | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined ? undefined : parseStat(pid, stat);
}

/** Synchronous `findProcess`: for an entry that must be written in the same turn of the event loop. */
export function findProcessNow(pid: number): LiveProcess | undefined {
  try {
    return parseStat(pid, readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}

function parseStat(pid: number, stat: string): LiveProcess | undefined {
  // The second field is the command's name in parentheses and may contain any character; `state` follows the last one.
  const [state, , group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [threads, startTime] = [Number(rest[14]), rest[16]];
  if (startTime === undefined || state === 'X') return undefined;
  // While other threads are still ending, its files and sockets are open: it has not ended.
  if (state === 'Z' && threads <= 1) return undefined;
  return { pid, group: Number(group), startTime };
}

/** The real and the saved user of a process: proc_pid_status(5). Undefined once it is gone. */
export async function usersOf(pid: number): Promise<{ real: number; saved: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, real, saved] = /^Uid:\t(\d+)\t\d+\t(\d+)\t/m.exec(status) ?? [];
  return real === undefined || saved === undefined ? undefined : { real: Number(real), saved: Number(saved) };
}

/** The pids of the process group. */
export async function groupMembers(group: number): Promise<number[]> {
  const members: number[] = [];
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await findProcess(Number(name)))?.group === group) members.push(Number(name));
  }
  return members;
}

/** Whether the process group has a live process. */
export async function isGroupAlive(group: number): Promise<boolean> {
  // A signal reaches zombies too, so a successful one has to be checked further.
  if (!signalGroup(group, 0)) return false;
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await findProcess(Number(name)))?.group === group) return true;
  }
  return false;
}

/** Whether the signal reached a process. A pid is not reused while it is the id of an existing group. */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}
