import { readdirSync, readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { systemCode } from '../fs/durable-files.ts';

/** So many links are read before other work may run. */
const AT_A_TIME = 512;

/** What /proc shows of one process: proc_pid_exe(5), proc_pid_cwd(5), proc_pid_fd(5), proc_pid_maps(5). */
export interface ProcessView {
  /** The program, the working directory and the root; empty if they cannot be read. */
  exe: string;
  cwd: string;
  root: string;
  /** The real paths of its open files, and of the files that are mapped into its memory. */
  opened: string[];
  /** Whether the agent may not inspect the process: only the arguments of such a process are known. */
  hidden: boolean;
}

/**
 * Never throws: nothing is known of a process that ends meanwhile. A removed file has ` (deleted)` after its path. Looks
 * at `mostFiles` file descriptors, the lowest first: a program opens its own files before its connections.
 */
export async function viewProcess(pid: number, mostFiles?: number): Promise<ProcessView> {
  const at = `/proc/${pid}`;
  const fds = namesIn(`${at}/fd`)
    .sort((a, b) => Number(a) - Number(b))
    .slice(0, mostFiles);
  const program = targetOf(`${at}/exe`);
  const [cwd = '', root = ''] = ['cwd', 'root'].map((name) => targetOf(`${at}/${name}`).path);
  // Unlike the links, it may have to wait: for whatever changes the memory of the process.
  const maps = await readFile(`${at}/maps`, 'utf8').catch(() => '');
  const opened: string[] = [];
  for (const [n, fd] of fds.entries()) {
    if (n % AT_A_TIME === AT_A_TIME - 1) await setImmediate();
    const { path } = targetOf(`${at}/fd/${fd}`);
    if (path.startsWith('/')) opened.push(path);
  }
  opened.push(...mappedPaths(maps));
  return { exe: program.path, cwd, root, opened, hidden: ['EACCES', 'EPERM'].includes(program.code) };
}

/**
 * Where a link in /proc leads; an empty path and the code of the error if it cannot be read. The kernel answers without
 * waiting for anything, and a promise for each file of each process would cost ten times as much.
 */
function targetOf(link: string): { path: string; code: string } {
  try {
    return { path: readlinkSync(link), code: '' };
  } catch (error) {
    return { path: '', code: systemCode(error) ?? '' };
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** What the kernel adds to the path of a file that was removed. */
export const DELETED = ' (deleted)';
/** Paths within an argument, such as `-cp a.jar:b.jar` or `--config=app.yaml`, end at one of these. */
export const BETWEEN_PATHS = /[\s:;,=|"'()[\]]+/;

/** The arguments of a process; empty if it has none or has ended. */
export async function argumentsOf(pid: number): Promise<string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return text.split('\0').filter((word) => word !== '');
}

/** The paths in /proc/PID/maps, whose lines are `address perms offset dev inode  /path`. A path may contain spaces. */
export function mappedPaths(maps: string): string[] {
  const paths = new Set<string>();
  for (const line of maps.split('\n')) {
    const slash = line.indexOf(' /');
    if (slash > 0) paths.add(line.slice(slash + 1));
  }
  return [...paths];
}
