import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { inside, openThroughDirectories } from './descriptors.ts';
import { openNoFollow } from './durable-files.ts';
import { trustedRealPath } from './trusted-path.ts';

/**
 * Opens a regular file, which other users may own, for reading. On the way to it, a link is followed only where nobody but
 * root and the agent's user could have put it; the file itself must be none. `seen` gets each directory on the way.
 * @throws PACKAGE_INVALID for any other link; system errors.
 */
export async function openByTrustedWay(
  path: string,
  seen?: (path: string, stat: Stats) => void,
): Promise<FileHandle> {
  const above = await openThroughDirectories(await trustedRealPath(dirname(path)), seen);
  try {
    return await openNoFollow(inside(above, Buffer.from(basename(path))));
  } finally {
    await above.close();
  }
}
