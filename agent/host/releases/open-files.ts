import { realpath } from 'node:fs/promises';
import { allPids } from '../process/proc.ts';
import { viewProcess } from '../process/process-view.ts';

/** So many files of a process are looked at, the lowest descriptors first: a user may open any number. */
const MOST_FILES = 65_536;

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
  for (const pid of await allPids()) {
    const { exe, cwd, root: processRoot, opened } = await viewProcess(pid, MOST_FILES);
    for (const path of [exe, cwd, processRoot, ...opened]) add(path);
  }
  return used;
}
