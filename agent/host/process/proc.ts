import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';

/** Processes as the kernel shows them: proc_pid_stat(5). A zombie does not count as a process. */

export interface LiveProcess {
  pid: number;
  group: number;
  /** When the process started, in clock ticks since the boot. Pid and start time together identify a process. */
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
  // The second field is the command's name in parentheses, which may contain `)` too: `state` follows the last `)`.
  const [state, , group, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [threads, startTime] = [Number(rest[14]), rest[16]];
  if (startTime === undefined || state === 'X') return undefined;
  // A zombie with other threads still has files and sockets open: it counts as alive.
  if (state === 'Z' && threads <= 1) return undefined;
  return { pid, group: Number(group), startTime };
}

/** The real and the saved user id of a process: proc_pid_status(5). Undefined if there is no such process. */
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
  // Signal 0 fails if the group has no process. It succeeds for zombies too, so /proc decides.
  if (!signalGroup(group, 0)) return false;
  for (const name of await readdir('/proc')) {
    if (/^\d+$/.test(name) && (await findProcess(Number(name)))?.group === group) return true;
  }
  return false;
}

/**
 * Sends `signal` to all processes of the group; returns whether at least one could be signalled. The kernel does not
 * reuse a pid while it is the id of an existing group.
 */
export function signalGroup(group: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-group, signal);
  } catch {
    return false;
  }
}
