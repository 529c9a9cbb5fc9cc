import type { Stats } from 'node:fs';
import { isCode } from '../../../shared/errors.ts';
import { lstatIfAny, readRange } from '../fs/durable-files.ts';
import { openByTrustedWay } from '../fs/trusted-file.ts';
import { isTrustedUser } from '../fs/trusted-path.ts';
import { findProcess, groupMembers, type LiveProcess, usersOf } from '../process/proc.ts';

/**
 * The pid file of a service, as far as the agent trusts it. A user who can write the file could make an agent that runs
 * as root kill any process. So the agent kills only processes that this user may signal without the agent (kill(2)).
 */
export interface PidFile {
  /** The process that the file names, if this process is alive and can be a service. */
  process: LiveProcess | undefined;
  /** Why the process might not be the service: then the agent neither waits for it nor kills it. */
  refusal: { problem: string; hint: string } | undefined;
  /** The id of the user who can write the file; undefined for root and for the agent's user. */
  writer: number | undefined;
}

/** Enough for any pid. Bytes. */
const READ_LIMIT = 64;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** kill(2) with the negative of pid 1 signals every process. */
const LOWEST_PID = 2;
const NOTHING: PidFile = { process: undefined, refusal: undefined, writer: undefined };

/** Reads the pid file. Never throws: a file that is missing, unreadable or without a pid names no process. */
export async function readPidFile(path: string): Promise<PidFile> {
  const found = await read(path).catch((error: unknown) =>
    isCode(error, 'PACKAGE_INVALID') ? error : undefined,
  );
  if (isCode(found)) {
    const hint = found.hint ?? 'write it in a directory where only root can write, such as /run';
    return { ...NOTHING, refusal: { problem: found.message, hint } };
  }
  if (!found || !/^[1-9]\d{0,9}$/.test(found.text)) return NOTHING;
  const pid = Number(found.text);
  if (pid < LOWEST_PID) {
    const hint =
      'for a service in its own pid namespace, remove `pidFile`, or write the pid that the host sees';
    return { ...NOTHING, refusal: { problem: `${path} names pid ${pid}, which cannot be a service`, hint } };
  }
  const named = await findProcess(pid);
  if (!named) return NOTHING;
  if (named.group === (await findProcess(process.pid))?.group) {
    const problem = `${path} names pid ${pid}, which is the agent itself or a process of its process group`;
    return { ...NOTHING, refusal: { problem, hint: 'correct the program that writes the file' } };
  }
  const { openTo, writer } = trustOf(path, found);
  if (openTo !== undefined) {
    const problem = `${path} names pid ${pid}, but other users can write to ${openTo}`;
    return { ...NOTHING, process: named, refusal: { problem, hint: `chmod go-w ${openTo}` } };
  }
  if (!(await mayBeKilledBy(writer, pid))) {
    const problem = `${path} is written by the user ${writer}, but names pid ${pid} of another user`;
    const hint =
      'write it as the user of the service, or as root in a directory where only root can write, such as /run';
    return { process: named, refusal: { problem, hint }, writer };
  }
  return { process: named, refusal: undefined, writer };
}

/** Differs after each write of the file; undefined while there is none. */
export async function stampOf(path: string): Promise<string | undefined> {
  const file = await lstatIfAny(path);
  return file && `${file.ino}/${file.mtimeMs}/${file.size}`;
}

/** Whether the process is still alive: a new process with the same pid does not count. */
export async function isSameProcess({ pid, startTime }: LiveProcess): Promise<boolean> {
  return (await findProcess(pid))?.startTime === startTime;
}

/** Sends KILL to the process. If it leads its group, also to the group: no worker may keep the port of the service. */
export async function killProcess({ process: named, refusal, writer }: PidFile): Promise<void> {
  if (!named || refusal || !(await isSameProcess(named))) return;
  const leads = named.group === named.pid;
  if (writer === undefined) return kill(leads ? -named.pid : named.pid);
  // The group may include processes of other users, such as a sudo: each process is checked and killed by itself.
  for (const pid of [named.pid, ...(leads ? await groupMembers(named.group) : [])]) {
    if (await mayBeKilledBy(writer, pid)) kill(pid);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // The process has ended meanwhile.
  }
}

/** Whether `writer` may signal the process. kill(2): the sender must be the real or the saved user of the process. */
async function mayBeKilledBy(writer: number | undefined, pid: number): Promise<boolean> {
  if (writer === undefined) return true;
  const users = await usersOf(pid);
  return users !== undefined && (users.real === writer || users.saved === writer);
}

interface Found {
  text: string;
  file: Stats;
  /** Those on the way to it, the nearest first. */
  directories: { path: string; stat: Stats }[];
}

async function read(path: string): Promise<Found> {
  const directories: Found['directories'] = [];
  const handle = await openByTrustedWay(path, (at, stat) => directories.unshift({ path: at, stat }));
  try {
    const text = (await readRange(handle, 0, READ_LIMIT)).toString('utf8').trim();
    return { text, file: await handle.stat(), directories };
  } finally {
    await handle.close();
  }
}

/** `writer` is the one user who can write the file; `openTo` is the path that several users can write to. */
function trustOf(
  path: string,
  { file, directories }: Found,
): { openTo?: string; writer?: number | undefined } {
  if ((file.mode & OTHERS_WRITE) !== 0) return { openTo: path };
  if (!isTrustedUser(file.uid)) return { writer: file.uid };
  // Users who can rename files or directories on the way may have put a file of root in place of the pid file.
  let writer: number | undefined;
  for (const { path: at, stat } of directories) {
    if ((stat.mode & OTHERS_WRITE) !== 0 && (stat.mode & STICKY) === 0) return { openTo: at };
    if (isTrustedUser(stat.uid)) continue;
    if (writer !== undefined && writer !== stat.uid) return { openTo: at };
    writer = stat.uid;
  }
  return { writer };
}
