import { readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { parseProcStat } from '../../../shared/proc-stat.ts';

/**
 * Processes as the kernel shows them: proc_pid_stat(5). A zombie does not count as a process. The kernel makes
 * /proc/PID/stat without waiting for anything, so it is read at once: a promise for each of the many processes of a host
 * would cost ten times as much.
 */

export interface LiveProcess {
  pid: number;
  group: number;
  /** When the process started, in clock ticks since the boot. Pid and start time together identify a process. */
  startTime: string;
}

/** Identifies a process: another process with the same pid has another id. */
export const idOf = ({ pid, startTime }: LiveProcess): string => `${pid}-${startTime}`;

export async function findProcess(pid: number): Promise<LiveProcess | undefined> {
  return findProcessNow(pid);
}

/** Synchronous `findProcess`: for an entry that must be written in the same turn of the event loop. */
export function findProcessNow(pid: number): LiveProcess | undefined {
  return liveProcess(pid, statOf(pid));
}

/** The text of /proc/PID/stat; empty if there is no such process. */
function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return '';
  }
}

function liveProcess(pid: number, text: string): LiveProcess | undefined {
  const stat = parseProcStat(text);
  if (!stat || stat.state === 'X') return undefined;
  // A zombie with other threads still has files and sockets open: it counts as alive.
  if (stat.state === 'Z' && stat.threads <= 1) return undefined;
  return { pid, group: stat.group, startTime: stat.startTime };
}

/** The pids of all processes that this process can see. */
export async function allPids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** The real and the saved user id of a process: proc_pid_status(5). Undefined if there is no such process. */
export async function usersOf(pid: number): Promise<{ real: number; saved: number } | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, real, saved] = /^Uid:\t(\d+)\t\d+\t(\d+)\t/m.exec(status) ?? [];
  return real === undefined || saved === undefined ? undefined : { real: Number(real), saved: Number(saved) };
}

/** The process with this pid and everything that it started, as far as the parents between them still live. */
export async function familyOf(pid: number): Promise<LiveProcess[]> {
  const first = await findProcess(pid);
  if (!first) return [];
  const children = new Map<number, LiveProcess[]>();
  for (const each of await allPids()) {
    const stat = statOf(each);
    const found = liveProcess(each, stat);
    const parent = parseProcStat(stat)?.parent ?? 0;
    if (found) children.set(parent, [...(children.get(parent) ?? []), found]);
  }
  const family = [first];
  for (const member of family) family.push(...(children.get(member.pid) ?? []));
  return family;
}

/** The processes in the control group `path`, or in one below it: cgroups(7). */
export async function controlGroupMembers(path: string): Promise<LiveProcess[]> {
  const members: LiveProcess[] = [];
  for (const pid of await allPids()) {
    const groups = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '');
    const isMember = groups.split('\n').some((line) => {
      const [, controllers = '', ...rest] = line.split(':');
      const of = controllers === '' || controllers === 'name=systemd' ? rest.join(':') : undefined;
      return of === path || of?.startsWith(`${path}/`);
    });
    const found = isMember ? await findProcess(pid) : undefined;
    if (found) members.push(found);
  }
  return members;
}

/** The pids of the process group. */
export async function groupMembers(group: number): Promise<number[]> {
  const members: number[] = [];
  for (const pid of await allPids()) if ((await findProcess(pid))?.group === group) members.push(pid);
  return members;
}

/** Whether the process group has a live process. */
export async function isGroupAlive(group: number): Promise<boolean> {
  // Signal 0 fails if the group has no process. It succeeds for zombies too, so /proc decides.
  if (!signalGroup(group, 0)) return false;
  for (const pid of await allPids()) if ((await findProcess(pid))?.group === group) return true;
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
