import { readFileSync, readlinkSync } from 'node:fs';
import * as z from 'zod';
import { type ProcStat, parseProcStat } from '../../shared/proc-stat.ts';

/**
 * Which process wrote a lock or a queue entry, so that another publisher on the same machine knows at once when that
 * process has died. A pid alone says nothing: containers with the same host name have pids of their own, and a pid is
 * used again. So `place` names the boot of the kernel and the pid namespace, and `started` the start of the process.
 */

/** The fields in documents. Publishers before 0.2.0 write no `place` and no `started`. */
export const processFields = {
  host: z.string(),
  pid: z.int(),
  place: z.string().max(128).optional(),
  started: z.string().max(32).optional(),
};

export interface ProcessIdentity {
  host: string;
  pid: number;
  /** The boot of the kernel and the pid namespace; undefined where Linux's /proc does not tell. */
  place?: string | undefined;
  /** The start of the process, in clock ticks since the boot. */
  started?: string | undefined;
}

/** This process. */
export function ownIdentity(host: string): ProcessIdentity {
  const { pid } = process;
  return { host, pid, place: ownPlace(), started: statOf(pid)?.startTime };
}

function ownPlace(): string | undefined {
  try {
    // A /proc of another pid namespace shows other pids than those that `kill` knows.
    if (readlinkSync('/proc/self') !== String(process.pid)) return undefined;
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return undefined;
  }
}

/**
 * Whether the process `other` has certainly ended: it ran on this machine, in this boot and in the pid namespace of
 * `here`, and no process has its pid now, or a process that was started at another time. False when that cannot be told.
 */
export function isGone(other: ProcessIdentity, here: ProcessIdentity): boolean {
  if (other.place === undefined || other.place !== here.place || other.host !== here.host) return false;
  if (other.pid < 1) return false;
  // The signal 0 only asks. Unlike /proc, it also tells of the processes of other users where `hidepid` hides them.
  if (!exists(other.pid)) return true;
  const now = statOf(other.pid);
  if (now === undefined) return false;
  if (now.state === 'Z' || now.state === 'X') return true;
  return other.started !== undefined && other.started !== now.startTime;
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

function statOf(pid: number): ProcStat | undefined {
  try {
    return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined;
  }
}
