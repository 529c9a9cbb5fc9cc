import { readdir, readFile, readlink, realpath } from 'node:fs/promises';

/**
 * The names of the directories in `root` that live processes use. A process uses a directory if it has a file below it
 * open or mapped, or if its program, its root or its working directory is there (proc(5)). A process that ends during
 * the search, or that the agent may not inspect, does not count.
 */
export async function namesWithOpenFiles(root: string): Promise<Set<string>> {
  const prefix = `${await realpath(root)}/`;
  const used = new Set<string>();
  const add = (path: string) => {
    if (!path.startsWith(prefix)) return;
    const [name] = path.slice(prefix.length).split('/');
    if (name) used.add(name.replace(/ \(deleted\)$/, ''));
  };
  for (const pid of await readdir('/proc')) {
    if (/^\d+$/.test(pid)) for (const path of await pathsOf(`/proc/${pid}`)) add(path);
  }
  return used;
}

async function pathsOf(process: string): Promise<string[]> {
  const open = await readdir(`${process}/fd`).catch(() => []);
  const links = ['cwd', 'exe', 'root', ...open.map((fd) => `fd/${fd}`)];
  const [maps, ...targets] = await Promise.all([
    readFile(`${process}/maps`, 'utf8').catch(() => ''),
    ...links.map((link) => readlink(`${process}/${link}`).catch(() => '')),
  ]);
  return [...targets, ...mappedPaths(maps)];
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
