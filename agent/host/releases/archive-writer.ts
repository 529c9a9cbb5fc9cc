import { constants } from 'node:fs';
import { link, lstat, mkdir, open, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ReadEntry } from 'tar';
import { ignoreCode } from '../fs/durable-files.ts';
import { unsafe } from './archive-rules.ts';

/**
 * Writes the judged entries of one archive below `root`, an empty directory that only the agent writes to. It writes
 * one entry at a time, and keeps nothing of it in memory. The tar package's own `Unpack` keeps a few KB of each entry
 * until the end: for the files of an ordinary npm package, this exceeds the agent's heap.
 *
 * `write` takes the entry's path within `root`. Files keep their time stamp. @throws system errors, ARCHIVE_UNSAFE.
 */
export function createArchiveWriter(root: string) {
  /** The directory that was created last. It and its parents exist. */
  let made = '.';

  async function makeDirectory(path: string): Promise<void> {
    if (path === made || path === '.' || made.startsWith(`${path}/`)) return;
    await makeDirectory(dirname(path));
    const place = join(root, path);
    await mkdir(place, { mode: 0o755 }).catch(ignoreCode('EEXIST', undefined));
    // On a case-insensitive file system the name may belong to a link.
    if (!(await lstat(place)).isDirectory()) throw unsafe(path, 'replaces another entry');
    made = path;
  }

  async function writeFile(path: string, entry: ReadEntry): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const isExecutable = ((entry.mode ?? 0) & 0o111) !== 0;
    const handle = await open(join(root, path), flags, isExecutable ? 0o755 : 0o644);
    try {
      for await (const chunk of entry) await handle.writeFile(chunk);
      if (entry.mtime) await handle.utimes(entry.mtime, entry.mtime);
    } finally {
      await handle.close();
    }
  }

  async function write(path: string, entry: ReadEntry): Promise<void> {
    if (entry.type === 'Directory') return await makeDirectory(path);
    await makeDirectory(dirname(path));
    switch (entry.type) {
      case 'SymbolicLink':
        return await symlink(entry.linkpath ?? '', join(root, path));
      case 'Link':
        return await link(join(root, entry.linkpath ?? ''), join(root, path));
      default:
        await writeFile(path, entry);
    }
  }

  return { write };
}
