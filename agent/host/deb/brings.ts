import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseContents } from './conflicts.ts';
import { ask, installed } from './dpkg.ts';

/** Whether a file that this host does not have comes with a package. */

const WITHIN_MS = 30_000;

/**
 * Whether the release has a .deb with a file at `path`: the package, a companion or a dependency. Before the first
 * installation of the package `name` this is taken to be so, because a maintainer script may make the file. `release` is
 * a directory; it is null for what is installed.
 */
export async function brings(name: string, release: string | null, path: string): Promise<boolean> {
  const signal = AbortSignal.timeout(WITHIN_MS);
  if (!(await installed(name, { signal }))) return true;
  if (release === null) return false;
  // `/bin` is a link to `/usr/bin`: a package may have either.
  const wanted = [path, path.replace(/^\/usr\//, '/'), `/usr${path}`];
  for (const file of await readdir(release, { recursive: true }).catch(() => [])) {
    if (!file.endsWith('.deb')) continue;
    const { stdout } = await ask(['dpkg-deb', '--contents', join(release, file)], signal);
    if (parseContents(stdout).some((one) => wanted.includes(one))) return true;
  }
  return false;
}
