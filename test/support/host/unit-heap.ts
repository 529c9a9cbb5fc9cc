import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Entry, tgz } from './tarball.ts';
import { temporaryDirectory } from './temporary.ts';

const root = new URL('../../../', import.meta.url);

const readUnit = () => readFile(new URL('systemd/agent/trigger-deploy-agent.service', root), 'utf8');

/** The variables of the unit for glibc's malloc. */
export async function mallocOfTheUnit(): Promise<Record<string, string>> {
  const found = (await readUnit()).matchAll(/^Environment=(MALLOC_\w+)=(.*)$/gm);
  const settings = Object.fromEntries([...found].map(([, name = '', value = '']) => [name, value]));
  if (!('MALLOC_ARENA_MAX' in settings)) throw new Error('malloc is not told to give memory back');
  return settings;
}

/** The node options of the unit, which include the heap size. */
export async function flagsOfTheUnit(): Promise<string[]> {
  const unit = await readUnit();
  const [, line = ''] = /^ExecStart=(.*)$/m.exec(unit) ?? [];
  const flags = line.split(' ').filter((word) => word.startsWith('--'));
  if (!flags.some((flag) => flag.startsWith('--max-old-space-size=')))
    throw new Error('the heap is not bounded');
  return flags;
}

/**
 * Runs `work`, lines of a module, in a process with the unit's heap, on an archive of so many small files: half of
 * them as in a node_modules, half in one directory. It knows `archive` and `release`, an empty directory, `signal`, and
 * what `unpack.ts`, `durable-files.ts` and `tree-digest.ts` export; what it prints is resolved to.
 */
export async function withinUnitHeap(files: number, work: string): Promise<string> {
  // In memory, where there is such a place: tens of thousands of fsyncs are not what is looked at here.
  const directory = await temporaryDirectory(existsSync('/dev/shm') ? '/dev/shm' : undefined);
  const [archive, release] = [join(directory, 'archive'), join(directory, 'release')];
  const entries = Array.from({ length: files }, (_, n): Entry => {
    const place = n % 2 === 0 ? `node_modules/package-${n % 1998}/dist` : 'assets';
    return { path: `${place}/a-name-of-common-length-${n}.js`, body: `${n}` };
  });
  await writeFile(archive, tgz(entries));
  await mkdir(release);
  const from = (name: string) => JSON.stringify(new URL(`agent/host/${name}`, root));
  const program = `
    import { unpack } from ${from('releases/unpack.ts')};
    import { syncTree, walkTree } from ${from('fs/durable-files.ts')};
    import { removeTree } from ${from('fs/remove-tree.ts')};
    import { treeDigest } from ${from('releases/tree-digest.ts')};
    const [archive, release] = process.argv.slice(1);
    const { signal } = new AbortController();
    ${work}`;
  const argv = [...(await flagsOfTheUnit()), '--input-type=module', '--eval', program, archive, release];
  return (await promisify(execFile)(process.execPath, argv)).stdout;
}
