import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Look, ServiceProcess, Shown } from '../../deploy/look-port.ts';
import { argumentsOf, BETWEEN_PATHS, DELETED, viewProcess } from '../process/process-view.ts';

/**
 * Finds whether the processes of a service use the installed files of its package. dpkg replaces every file by a new
 * one, so a process that has an old file open shows it as deleted: it still runs the old version.
 */

const DATABASE = '/var/lib/dpkg/info';
const MOST_FILES = 4096;

/** `before` has the ids of the processes that started before the switch. Never throws. */
export async function lookAtFiles(
  name: string,
  processes: readonly ServiceProcess[],
  before: ReadonlySet<string>,
  database = DATABASE,
): Promise<Look> {
  const files = await filesOf(name, database);
  const shown: Shown[] = [];
  let hidden = 0;
  for (const process of processes) {
    const view = await viewProcess(process.pid, MOST_FILES);
    if (view.hidden) hidden += 1;
    const paths = [view.exe, ...view.opened];
    const replaced = paths.find(
      (path) => path.endsWith(DELETED) && files.has(merged(path.replace(DELETED, ''))),
    );
    if (replaced) {
      shown.push({ process, wanted: false, by: `it has the old ${replaced.replace(DELETED, '')} open` });
    }
    if (before.has(process.id)) continue;
    const words = (await argumentsOf(process.pid)).flatMap((word) => word.split(BETWEEN_PATHS));
    const used = [...paths, ...words].find((path) => files.has(merged(path)));
    if (used) shown.push({ process, wanted: true, by: `it uses ${used}` });
  }
  return {
    shown,
    hidden,
    missing: `a file of the package ${name}`,
    hint: 'the restart must replace every process of the service: see KillMode= of its unit',
  };
}

/** The files of the package, without directories. */
async function filesOf(name: string, database: string): Promise<Set<string>> {
  const lists = [`${database}/${name}.list`];
  for (const architecture of ['amd64', 'arm64']) lists.push(`${database}/${name}:${architecture}.list`);
  const files = new Set<string>();
  for (const list of lists) {
    const text = await readFile(list, 'utf8').catch(() => '');
    for (const line of text.split('\n')) if (line !== '') files.add(merged(line));
  }
  for (const path of [...files]) files.delete(dirname(path));
  return files;
}

/** One spelling for `/bin/x` and `/usr/bin/x`: the first is a link to the second on a system with a merged /usr. */
function merged(path: string): string {
  return path.replace(/^\/(bin|sbin|lib\w*)\//, '/usr/$1/');
}
