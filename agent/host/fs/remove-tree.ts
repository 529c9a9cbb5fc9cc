import { randomBytes } from 'node:crypto';
import { type FileHandle, rename, rmdir, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { entriesOf, inside, openDirectory, openForLookup } from './descriptors.ts';
import { ignoreCode, systemCode, systemError } from './durable-files.ts';
import { isOpenToOthers } from './trusted-path.ts';

/**
 * Removes trees that a service may write to while they are removed. Every name is removed in a directory that is open:
 * whatever is moved or linked meanwhile, nothing outside is reached.
 */

/** Directories that are open at the same time. A deeper one is moved to the top of its tree, and removed from there. */
const OPEN_AT_MOST = 64;
/** So many entries are removed by one call: a service that creates files as fast as they are removed must not hold it. */
const ENTRIES_AT_MOST = 5_000_000;

/** Another process has created or replaced an entry during an attempt: the next attempt removes it. */
const CHANGED = ['ENOTEMPTY', 'ENOTDIR', 'EISDIR'];

export interface Removal {
  /** Awaited before each entry. */
  pace?: (() => Promise<void>) | undefined;
  /** The number of entries after which the removal ends with EBUSY. */
  most?: number;
}

interface Work {
  pace: (() => Promise<void>) | undefined;
  left: number;
  /** The directory that is removed, and the names in it of the deeper ones that were moved there. */
  top: FileHandle;
  moved: Buffer[];
}

/**
 * Removes a file, a link, or a directory with its contents, if it exists. Follows no link, but in the path of the
 * directory above. It removes one entry after the other, because Node's `rm` reads the whole tree into memory.
 */
export async function removeTree(
  path: string,
  { pace, most = ENTRIES_AT_MOST }: Removal = {},
): Promise<void> {
  await pace?.();
  const above = await openForLookup(dirname(path), { follow: true }).catch(ignoreCode('ENOENT', undefined));
  if (!above) return;
  try {
    const place = inside(above, Buffer.from(basename(path)));
    for (let tries = 3; ; tries -= 1) {
      const error = await caught(removeOnce(place, pace, most));
      if (error === undefined) return;
      if (tries <= 1 || !CHANGED.includes(systemCode(error) ?? '')) throw error;
    }
  } finally {
    await above.close();
  }
}

async function removeOnce(place: Buffer, pace: Work['pace'], most: number): Promise<void> {
  const top = await openDirectory(place).catch(async (error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    if (systemCode(error) !== 'ENOTDIR' && systemCode(error) !== 'ELOOP') throw error;
    await unlink(place).catch(ignoreCode('ENOENT', undefined));
    return undefined;
  });
  if (!top) return;
  try {
    const work: Work = { pace, left: most, top, moved: [] };
    let failure = await empty(top, 1, work);
    for (let name = work.moved.pop(); name !== undefined; name = work.moved.pop()) {
      const error = await caught(removeDirectory(top, name, 1, work));
      // The reading of the top has found it already.
      if (systemCode(error) !== 'ENOENT') failure ??= error;
    }
    if (failure !== undefined) throw failure;
  } finally {
    await top.close();
  }
  await rmdir(place).catch(ignoreCode('ENOENT', undefined));
}

/** Removes all entries of the open directory. Returns the first error, after all others are removed. */
async function empty(directory: FileHandle, depth: number, work: Work): Promise<unknown> {
  await closeToOthers(directory);
  let failure: unknown;
  for await (const { name, entry } of entriesOf(directory)) {
    if (work.left <= 0) return systemError('EBUSY', 'too many files, or files are created all the time');
    work.left -= 1;
    await work.pace?.();
    const error = await caught(
      entry.isDirectory() ? removeDirectory(directory, name, depth, work) : unlink(inside(directory, name)),
    );
    if (systemCode(error) !== 'ENOENT') failure ??= error;
  }
  return failure;
}

async function removeDirectory(above: FileHandle, name: Buffer, depth: number, work: Work): Promise<void> {
  const place = inside(above, name);
  if (depth >= OPEN_AT_MOST) {
    const aside = Buffer.from(`.moved-${randomBytes(8).toString('hex')}`);
    await rename(place, inside(work.top, aside));
    work.moved.push(aside);
    return;
  }
  const directory = await openDirectory(place);
  try {
    const failure = await empty(directory, depth + 1, work);
    if (failure !== undefined) throw failure;
  } finally {
    await directory.close();
  }
  await rmdir(place);
}

/**
 * Takes a directory away from a service that may write to it, also through a descriptor or a working directory that it
 * has there: from now on, it can only lose entries. Where this process may not, it is removed as it is.
 */
async function closeToOthers(directory: FileHandle): Promise<void> {
  if (!isOpenToOthers(await directory.stat())) return;
  const [user, group] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  await directory.chown(user, group).catch(() => {});
  await directory.chmod(0o700).catch(() => {});
}

async function caught(work: Promise<unknown>): Promise<unknown> {
  return await work.then(
    () => undefined,
    (error: unknown) => error,
  );
}
