import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openNoFollow, readRange } from '../fs/durable-files.ts';
import { findProcess, groupMembers, type LiveProcess, usersOf } from '../process/proc.ts';

/**
 * The pid file of a service, as far as it can be trusted. A user who can write to it could make an agent that runs as
 * root kill any process; so the agent kills only processes that the file's writer may signal itself (kill(2)).
 */
export interface PidFile {
  /** The process that it names, if that is alive and can be a service. */
  process: LiveProcess | undefined;
  /** Why the process may not be the service: then it is neither waited for nor killed. */
  refusal: { problem: string; hint: string } | undefined;
  /** The user who can write the file; undefined for root and the agent's user. */
  writer: number | undefined;
}

/** Enough for any pid. Bytes. */
const READ_LIMIT = 64;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** For kill(2), group 1 means every process. */
const LOWEST_PID = 2;
const NOTHING: PidFile = { process: undefined, refusal: undefined, writer: undefined };

/** Never throws: a file that does not exist, or has no pid, names no process. */
export async function readPidFile(path: string): Promise<PidFile> {
  const found = await read(path).catch(() => undefined);
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
  const { openTo, writer } = trustOf(path, found.file, found.directory);
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

/** Whether it is still the same process, not another one with its pid. */
export async function isSameProcess({ pid, startTime }: LiveProcess): Promise<boolean> {
  return (await findProcess(pid))?.startTime === startTime;
}

/** Sends KILL to the process, and to its group if it leads one, so that no worker keeps the port of the service. */
export async function killProcess({ process: named, refusal, writer }: PidFile): Promise<void> {
  if (!named || refusal || !(await isSameProcess(named))) return;
  const leads = named.group === named.pid;
  if (writer === undefined) return kill(leads ? -named.pid : named.pid);
  // One by one, because the group may include processes of other users, such as a sudo.
  for (const pid of [named.pid, ...(leads ? await groupMembers(named.group) : [])]) {
    if (await mayBeKilledBy(writer, pid)) kill(pid);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** kill(2): the sender's user is the real or the saved one of the receiver. */
async function mayBeKilledBy(writer: number | undefined, pid: number): Promise<boolean> {
  if (writer === undefined) return true;
  const users = await usersOf(pid);
  return users !== undefined && (users.real === writer || users.saved === writer);
}

async function read(path: string): Promise<{ text: string; file: Stats; directory: Stats }> {
  const handle = await openNoFollow(path);
  try {
    const text = (await readRange(handle, 0, READ_LIMIT)).toString('utf8').trim();
    return { text, file: await handle.stat(), directory: await stat(dirname(path)) };
  } finally {
    await handle.close();
  }
}

/** The user who can write the file, or the path that other users can write to as well. */
function trustOf(
  path: string,
  file: Stats,
  directory: Stats,
): { openTo?: string; writer?: number | undefined } {
  const isTrusted = (uid: number) => uid === 0 || uid === process.getuid?.();
  if ((file.mode & OTHERS_WRITE) !== 0) return { openTo: path };
  if (!isTrusted(file.uid)) return { writer: file.uid };
  // A user who may rename files in the directory may have moved a file of root there, such as a log of the service.
  const renamed = (directory.mode & OTHERS_WRITE) !== 0 && (directory.mode & STICKY) === 0;
  if (renamed) return { openTo: dirname(path) };
  return { writer: isTrusted(directory.uid) ? undefined : directory.uid };
}
