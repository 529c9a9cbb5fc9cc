import { randomBytes } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import {
  chmod,
  type FileHandle,
  lstat,
  mkdir,
  open,
  opendir,
  rename,
  rm,
  statfs,
  symlink,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Writes files that survive a power cut: write, fsync, rename, fsync of the directory. rename(2) is atomic, but durable
 * only with an fsync(2) of the file before it and an fsync(2) of the directory after it. Functions throw system errors,
 * which have a `code`.
 */

/** Parallel fsyncs: the file system commits them together. */
const FSYNC_LANES = 16;

/** Replaces `path` by `data`, whole or not at all; on disk when it resolves. `mode` is exact, whatever the umask. */
export async function writeDurably(path: string, data: string | Uint8Array, mode = 0o600): Promise<void> {
  const temporary = temporaryFor(path);
  try {
    const handle = await createNew(temporary, mode);
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await removeTemporary(temporary);
    throw error;
  }
  await fsyncDirectory(dirname(path));
}

/** Makes `link` a symbolic link to `target`, replacing an older link in one step; on disk when it resolves. */
export async function pointAt(link: string, target: string): Promise<void> {
  const temporary = temporaryFor(link);
  try {
    await symlink(target, temporary);
    await rename(temporary, link);
  } catch (error) {
    await removeTemporary(temporary);
    throw error;
  }
  await fsyncDirectory(dirname(link));
}

/** Creates a file for reading and writing. Fails if `path` exists, even as a link. The umask does not apply. */
export async function createNew(path: string, mode: number): Promise<FileHandle> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const handle = await open(path, flags, 0o600);
  try {
    await handle.chmod(mode);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Opens a regular file. Fails for a link (ELOOP). Fails for a FIFO or a device, and does not block on it. */
export async function openNoFollow(
  path: string | Buffer,
  flags: number = constants.O_RDONLY,
): Promise<FileHandle> {
  const handle = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw systemError('EINVAL', `${path} is not a regular file`);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The first `limit` bytes of a regular file; undefined when it does not exist. */
export async function readNoFollow(path: string, limit: number): Promise<Buffer | undefined> {
  const handle = await openNoFollow(path).catch(ignoreCode('ENOENT', undefined));
  if (!handle) return undefined;
  try {
    return await readRange(handle, 0, limit);
  } finally {
    await handle.close();
  }
}

/** At most `length` bytes from `start`. */
export async function readRange(handle: FileHandle, start: number, length: number): Promise<Buffer> {
  const size = Math.max(0, (await handle.stat()).size - start);
  const buffer = Buffer.alloc(Math.min(length, size));
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, start + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Creates a directory with exactly this mode: the umask does not apply. */
export async function makeNew(path: string, mode: number): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  await chmod(path, mode);
}

/**
 * Creates the directory and its missing parents with this mode; on disk when it resolves. An existing directory keeps
 * its mode. Its name is synced too, because the process that created it may have been killed before its fsync.
 */
export async function makeDirectories(path: string, mode: number): Promise<void> {
  if (!(await lstatIfAny(path))) {
    await makeDirectories(dirname(path), mode);
    await makeNew(path, mode).catch(ignoreCode('EEXIST', undefined));
  }
  // The agent can read every directory that it creates: a parent that it cannot read was there before.
  await fsyncDirectory(dirname(path)).catch(ignoreCode('EACCES', undefined));
}

/** Names that were created, renamed or removed in the directory are on disk when it resolves. */
export async function fsyncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Syncs `root` and everything below it. Follows no link. */
export async function syncTree(root: string, signal?: AbortSignal): Promise<void> {
  await syncEntry(root);
  const entries = walkTree(root);
  // All lanes (parallel loops) take their entries from one walk. When a lane throws, the walk ends.
  const lane = async () => {
    for await (const entry of entries) {
      signal?.throwIfAborted();
      if (entry.isFile() || entry.isDirectory()) await syncEntry(join(entry.parentPath, entry.name));
    }
  };
  await Promise.all(Array.from({ length: FSYNC_LANES }, lane));
}

/**
 * Yields all entries below `root`, a directory before its entries. Follows no link; keeps no list in memory. With
 * `isLive` a service may write to the tree: a directory that is gone, or whose name is not UTF-8, is not entered.
 */
export async function* walkTree(root: string, { isLive = false } = {}): AsyncGenerator<Dirent> {
  const open = [await opendir(root)];
  try {
    for (let directory = open.at(-1); directory; directory = open.at(-1)) {
      const entry = await directory.read();
      if (entry) {
        yield entry;
        if (!entry.isDirectory()) continue;
        const below = opendir(join(entry.parentPath, entry.name));
        const entered = isLive ? await below.catch(ignoreCode('ENOENT', undefined)) : await below;
        if (entered) open.push(entered);
      } else {
        open.pop();
        await directory.close();
      }
    }
  } finally {
    for (const directory of open) await directory.close();
  }
}

/** Free space at `path` for an unprivileged user: bytes and inodes (Infinity if the file system has no limit). */
export async function freeSpace(path: string): Promise<{ bytes: number; inodes: number }> {
  const { bavail, bsize, files, ffree } = await statfs(path);
  return { bytes: bavail * bsize, inodes: files === 0 ? Number.POSITIVE_INFINITY : ffree };
}

/** `lstat`, or undefined when `path` does not exist. */
export async function lstatIfAny(path: string) {
  return lstat(path).catch(ignoreCode('ENOENT', undefined));
}

/** For `.catch`: returns `value` for an error with the system code `code`, throws any other. */
export function ignoreCode<T>(code: string, value: T): (error: unknown) => T {
  return (error) => {
    if (systemCode(error) === code) return value;
    throw error;
  };
}

/** The `code` of a system error: `ENOENT`, `ENOSPC`. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** Writes all of `bytes` at `position`: one write(2) may write less. */
export async function writeRange(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

/** An error as Node makes it for a failed system call. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

function temporaryFor(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.new`);
}

/** Whether `name` is that of a temporary file or link that `writeDurably` or `pointAt` makes for `path`. */
export function isTemporaryOf(path: string, name: string): boolean {
  const prefix = `.${basename(path)}.`;
  return name.startsWith(prefix) && /^[0-9a-f]{16}\.new$/.test(name.slice(prefix.length));
}

/** The error that left the file behind is the one to throw. The file is removed later: `sweepTemporaries`. */
async function removeTemporary(path: string): Promise<void> {
  await rm(path, { force: true }).catch(() => {});
}

async function syncEntry(path: string): Promise<void> {
  // A service may put a FIFO in its place: O_NONBLOCK does not wait for a writer.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const handle = await open(path, flags);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
