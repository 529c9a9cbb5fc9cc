import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { openNoFollow, readRange } from '../fs/durable-files.ts';
import { findProcess, groupMembers, type LiveProcess, usersOf } from '../process/proc.ts';

/**
 * The pid file of a service, as far as it can be believed. Whoever can write to it could have an agent that is root
 * end any process; so that one ends only what the file's writer could have ended without it, as in kill(2).
 */
export interface PidFile {
  /** What it names, if that lives and can be a service at all. */
  process: LiveProcess | undefined;
  /** Why that is not shown to be the service: then it is neither waited for nor ended. */
  refusal: { problem: string; hint: string } | undefined;
  /** The user whose word it is; undefined where that is root, or the agent's own. */
  writer: number | undefined;
}

/** Enough for any pid. Bytes. */
const READ_LIMIT = 64;
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;
/** To kill(2) the group 1 is everybody. */
const LOWEST_PID = 2;
const NOTHING: PidFile = { process: undefined, refusal: undefined, writer: undefined };

/** Never throws: a file that is not there, or holds no pid, names nothing. */
export async function readPidFile(path: string): Promise<PidFile> {
  const found = await read(path).catch(() => undefined);
  if (!found || !/^[1-9]\d{0,9}$/.test(found.text)) return NOTHING;
  const pid = Number(found.text);
  if (pid < LOWEST_PID) {
    const hint =
      'a service in a pid namespace of its own: leave `pidFile` out, or have the pid there that the host sees';
    return { ...NOTHING, refusal: { problem: `${path} names pid ${pid}, which is no service's`, hint } };
  }
  const named = await findProcess(pid);
  if (!named) return NOTHING;
  if (named.group === (await findProcess(process.pid))?.group) {
    const problem = `${path} names pid ${pid}, which is the agent's own, or of its process group`;
    return { ...NOTHING, refusal: { problem, hint: 'correct what writes that file' } };
  }
  const { openTo, writer } = trustOf(path, found.file, found.directory);
  if (openTo !== undefined) {
    const problem = `${path} names pid ${pid}, but others can write to ${openTo}`;
    return { ...NOTHING, process: named, refusal: { problem, hint: `chmod go-w ${openTo}` } };
  }
  if (!(await mayBeKilledBy(writer, pid))) {
    const problem = `${path} is the word of the user ${writer}, and names pid ${pid}, which is not that user's`;
    const hint =
      'have it written by the user of the service, or by root where only root can write, such as /run';
    return { process: named, refusal: { problem, hint }, writer };
  }
  return { process: named, refusal: undefined, writer };
}

/** That very process, and not another that got its pid. */
export async function isSameProcess({ pid, startTime }: LiveProcess): Promise<boolean> {
  return (await findProcess(pid))?.startTime === startTime;
}

/** KILL to the process, and to its group where it leads one: a daemon's workers left alone would keep its port. */
export async function killProcess({ process: named, refusal, writer }: PidFile): Promise<void> {
  if (!named || refusal || !(await isSameProcess(named))) return;
  const leads = named.group === named.pid;
  if (writer === undefined) return kill(leads ? -named.pid : named.pid);
  // One by one, for others may be among them: a sudo that the service began.
  for (const pid of [named.pid, ...(leads ? await groupMembers(named.group) : [])]) {
    if (await mayBeKilledBy(writer, pid)) kill(pid);
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself in between.
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

/** Whose word the file is, or the path that is open to more than that user. */
function trustOf(
  path: string,
  file: Stats,
  directory: Stats,
): { openTo?: string; writer?: number | undefined } {
  const isTrusted = (uid: number) => uid === 0 || uid === process.getuid?.();
  if ((file.mode & OTHERS_WRITE) !== 0) return { openTo: path };
  if (!isTrusted(file.uid)) return { writer: file.uid };
  // Who may rename there may have put a file of root's in its place, such as a log that the service writes to.
  const renamed = (directory.mode & OTHERS_WRITE) !== 0 && (directory.mode & STICKY) === 0;
  if (renamed) return { openTo: dirname(path) };
  return { writer: isTrusted(directory.uid) ? undefined : directory.uid };
}
