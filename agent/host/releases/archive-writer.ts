import { constants } from 'node:fs';
import { link, lstat, mkdir, open, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ReadEntry } from 'tar';
import { ignoreCode } from '../fs/durable-files.ts';
import { unsafe } from './archive-rules.ts';

/** The contents of files up to this size, bytes, are read into memory, and written while the archive is read on. */
const SMALL = 64 * 1024;
/** Small files that are written at the same time. They hold 1 MiB at most. */
const LANES = 16;
/** Directories that are known to exist; after so many the list starts anew. */
const MADE_AT_MOST = 2000;

interface FileToWrite {
  mode: number | undefined;
  mtime: Date | undefined;
  contents: AsyncIterable<Buffer> | Iterable<Buffer>;
}

/**
 * Writes the judged entries of one archive below `root`, an empty directory that only the agent writes to. It keeps
 * nothing of an entry in memory once it is written. The tar package's own `Unpack` keeps a few KB of each entry until
 * the end: for the files of an ordinary npm package, this exceeds the agent's heap.
 *
 * `write` takes the entry's path within `root`. Files keep their time stamp. `end` waits until all writes have ended:
 * call it in every case. @throws both: system errors, ARCHIVE_UNSAFE.
 */
export function createArchiveWriter(root: string) {
  const made = new Set<string>(['.']);
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let onFreeLane = () => {};

  async function makeDirectory(path: string): Promise<void> {
    if (made.has(path)) return;
    await makeDirectory(dirname(path));
    const place = join(root, path);
    const isNew = await mkdir(place, { mode: 0o755 }).then(() => true, ignoreCode('EEXIST', false));
    // On a case-insensitive file system the name may belong to a link.
    if (!isNew && !(await lstat(place)).isDirectory()) throw unsafe(path, 'replaces another entry');
    if (made.size >= MADE_AT_MOST) made.clear();
    made.add('.').add(path);
  }

  async function writeFile(path: string, { mode, mtime, contents }: FileToWrite): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const isExecutable = ((mode ?? 0) & 0o111) !== 0;
    const handle = await open(join(root, path), flags, isExecutable ? 0o755 : 0o644);
    try {
      for await (const chunk of contents) await handle.writeFile(chunk);
      if (mtime) await handle.utimes(mtime, mtime);
    } finally {
      await handle.close();
    }
  }

  /** Starts a write; waits only while all lanes are in use. */
  async function inLane(work: () => Promise<void>): Promise<void> {
    if (underWay.size >= LANES) {
      await new Promise<void>((resolve) => {
        onFreeLane = resolve;
      });
    }
    const lane = work()
      .catch((error: unknown) => void failures.push(error))
      .finally(() => {
        underWay.delete(lane);
        onFreeLane();
      });
    underWay.add(lane);
  }

  async function end(): Promise<void> {
    await Promise.all(underWay);
    if (failures.length > 0) throw failures[0];
  }

  async function write(path: string, entry: ReadEntry): Promise<void> {
    if (failures.length > 0) throw failures[0];
    if (entry.type === 'Directory') return await makeDirectory(path);
    await makeDirectory(dirname(path));
    switch (entry.type) {
      case 'SymbolicLink':
        return await symlink(entry.linkpath ?? '', join(root, path));
      case 'Link':
        // The file that it names may not be there yet.
        await end();
        return await link(join(root, entry.linkpath ?? ''), join(root, path));
      default: {
        const { mode, mtime } = entry;
        if (entry.size > SMALL) return await writeFile(path, { mode, mtime, contents: entry });
        const contents = [await entry.concat()];
        await inLane(() => writeFile(path, { mode, mtime, contents }));
      }
    }
  }

  return { write, end };
}
