import { constants, type Dirent, type Stats } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Work in directories that others can write to, through descriptors: a path that was looked at may lead elsewhere by the
 * time it is used, a descriptor never does. Node has no openat(2); `/proc/self/fd/N/NAME` has the same effect.
 */

/** open(2). Node does not name it: a descriptor for looking up names only, which needs no permission to read. */
const O_PATH = 0o10000000;
/** Node's types do not know that `opendir` can return names as bytes, as `readdir` does. */
const AS_BYTES = { encoding: 'buffer' as BufferEncoding };

/** The path of `name` in the open directory, whatever the directory's own path is by now. */
export function inside(directory: FileHandle, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory.fd}/`), name]);
}

/** The path of the open file itself. */
export function itself(handle: FileHandle): string {
  return `/proc/self/fd/${handle.fd}`;
}

/** Opens a directory for reading. Fails for a link (ENOTDIR). */
export async function openDirectory(path: string | Buffer): Promise<FileHandle> {
  return await open(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

/** Opens a directory to look up names in it; it need not be readable. `follow`: through a link, too. */
export async function openForLookup(path: string | Buffer, { follow = false } = {}): Promise<FileHandle> {
  return await open(path, O_PATH | constants.O_DIRECTORY | (follow ? 0 : constants.O_NOFOLLOW));
}

/**
 * Opens the directory `path`, which is absolute, to look up names in it: one directory after the other, through no link.
 * `seen` gets each of them as it was opened. @throws ENOTDIR where a link or no directory is.
 */
export async function openThroughDirectories(
  path: string,
  seen?: (path: string, stat: Stats) => void,
): Promise<FileHandle> {
  let at = '/';
  let handle = await openForLookup(at);
  try {
    seen?.(at, await handle.stat());
    for (const name of path.split('/').filter(Boolean)) {
      const next = await openForLookup(inside(handle, Buffer.from(name)));
      await handle.close();
      handle = next;
      at = join(at, name);
      seen?.(at, await handle.stat());
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The entries of the open directory; names are bytes, because a service may write one that is not UTF-8. */
export async function* entriesOf(directory: FileHandle): AsyncGenerator<{ name: Buffer; entry: Dirent }> {
  for await (const entry of await opendir(itself(directory), AS_BYTES)) {
    yield { name: entry.name as unknown as Buffer, entry };
  }
}
