import { readdir, readFile, readlink } from 'node:fs/promises';
import { systemCode } from '../fs/durable-files.ts';

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
  let hidden = false;
  const target = (link: string) =>
    readlink(`${at}/${link}`).catch((error: unknown) => {
      if (link === 'exe' && ['EACCES', 'EPERM'].includes(systemCode(error) ?? '')) hidden = true;
      return '';
    });
  const names = await readdir(`${at}/fd`).catch(() => []);
  const fds = names.sort((a, b) => Number(a) - Number(b)).slice(0, mostFiles);
  const [exe, cwd, root, maps, ...files] = await Promise.all([
    target('exe'),
    target('cwd'),
    target('root'),
    readFile(`${at}/maps`, 'utf8').catch(() => ''),
    ...fds.map((fd) => target(`fd/${fd}`)),
  ]);
  const opened = [...files.filter((path) => path.startsWith('/')), ...mappedPaths(maps)];
  return { exe, cwd, root, opened, hidden };
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
