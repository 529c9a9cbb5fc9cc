import { constants } from 'node:fs';
import { chmod, type FileHandle, link, lstat, mkdir, open, symlink, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Judged, unsafe } from '../../../shared/archive/archive-rules.ts';
import type { TarBody, TarEntry } from '../../../shared/archive/read-tar.ts';
import { ignoreCode, systemCode, writeRange } from '../fs/durable-files.ts';
import { directoryMode, fileMode, IMPLIED_DIRECTORY_MODE, maskedBits } from './release-modes.ts';

/** The contents of files up to this size, bytes, are read into memory, and written while the archive is read on. */
const SMALL = 64 * 1024;
/** Small files that are written at the same time. They hold 1 MiB at most. */
const LANES = 16;
/** Directories that are known to exist; after so many the list starts anew. */
const MADE_AT_MOST = 2000;
/** The time stamps that ext4 can store, seconds since 1970. */
const TIMES = { first: -(2 ** 31), last: 2 ** 34 - 1 };

type Entry = TarEntry & Judged;

/**
 * Writes the judged entries of one archive below `root`, an empty directory that only the agent writes to. It keeps
 * nothing of an entry in memory once it is written. Files keep their time stamp; their modes are those of
 * release-modes.ts. It never writes through a link.
 *
 * `end` waits until all writes have ended: call it in every case. @throws both: system errors, ARCHIVE_UNSAFE.
 */
export async function createArchiveWriter(root: string) {
  const masked = await maskedBits(root);
  const made = new Set<string>(['.']);
  const underWay = new Set<Promise<void>>();
  const failures: unknown[] = [];
  let onFreeLane = () => {};

  async function makeDirectory(path: string): Promise<void> {
    if (made.has(path)) return;
    await makeDirectory(dirname(path));
    await makeOne(path, IMPLIED_DIRECTORY_MODE);
  }

  async function makeOne(path: string, mode: number, isEntry = false): Promise<void> {
    const place = join(root, path);
    const isNew = await mkdir(place, { mode }).then(() => true, ignoreCode('EEXIST', false));
    // On a case-insensitive file system the name may belong to a link.
    if (!isNew && !(await lstat(place)).isDirectory()) throw unsafe(path, 'replaces another entry');
    if (isNew ? (mode & masked) !== 0 : isEntry) await chmod(place, mode);
    if (made.size >= MADE_AT_MOST) made.clear();
    made.add('.').add(path);
  }

  async function createFile(path: string, mode: number): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const handle = await open(join(root, path), flags, mode).catch((error: unknown) => {
      throw systemCode(error) === 'EEXIST' ? unsafe(path, 'replaces another entry') : error;
    });
    if ((mode & masked) !== 0) await handle.chmod(mode).catch(closing(handle));
    return handle;
  }

  async function writeFile({ path, mode, mtime, size }: Entry, body: TarBody): Promise<void> {
    const handle = await createFile(path, fileMode(mode));
    try {
      let end = 0;
      for await (const { position, bytes } of body) {
        await writeRange(handle, bytes, position);
        end = position + bytes.length;
      }
      // A sparse file may end in a hole.
      if (end < size) await handle.truncate(size);
      const time = Math.min(Math.max(mtime, TIMES.first), TIMES.last);
      // Node takes a negative number for "now", but not a Date before 1970.
      const stamp = time < 0 ? new Date(time * 1000) : time;
      await handle.utimes(stamp, stamp);
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

  async function write(entry: Entry, body: TarBody): Promise<void> {
    if (failures.length > 0) throw failures[0];
    const { path } = entry;
    // The directory of the release itself.
    if (path === '') return await chmod(root, directoryMode(entry.mode));
    await makeDirectory(dirname(path));
    if (entry.replaces) {
      await end();
      await unlink(join(root, path));
    }
    switch (entry.type) {
      case 'Directory':
        return await makeOne(path, directoryMode(entry.mode), true);
      case 'SymbolicLink':
        return await symlink(entry.linkpath, join(root, path));
      case 'Link':
        // The file that it names may not be there yet. link(2) follows no symbolic link.
        await end();
        return await link(join(root, entry.target), join(root, path));
      default: {
        if (entry.size > SMALL) return await writeFile(entry, body);
        const contents = await contentsOf(entry, body);
        await inLane(() => writeFile(entry, contents));
      }
    }
  }

  return { write, end };
}

async function contentsOf({ size }: Entry, body: TarBody): Promise<TarBody> {
  const all = Buffer.alloc(size);
  for await (const { position, bytes } of body) bytes.copy(all, position);
  return (async function* () {
    if (size > 0) yield { position: 0, bytes: all };
  })();
}

function closing(handle: FileHandle): (error: unknown) => Promise<never> {
  return async (error) => {
    await handle.close();
    throw error;
  };
}
