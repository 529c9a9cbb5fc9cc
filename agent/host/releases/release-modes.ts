import { lstat, mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artifact } from '../../../shared/manifest.ts';

/**
 * The modes of what a release contains. They are never wider than packed: group and others get no more than the archive
 * gives them, nobody but the owner can write, and no bit of setuid, setgid or sticky is kept. The owner is the agent's
 * user. It can always read files and enter directories, so that the agent can verify and remove the release.
 */

export function fileMode(packed: number): number {
  return (packed & 0o755) | 0o400;
}

export function directoryMode(packed: number): number {
  return (packed & 0o755) | 0o700;
}

/** The mode of a directory that no entry of the archive names. */
export const IMPLIED_DIRECTORY_MODE = 0o755;
/** The mode of a pushed jar. It has no mode of its own: a build's umask says nothing about the service's user. */
export const JAR_MODE = 0o644;

/**
 * The mode of a config file: it may hold secrets, so only the agent's user reads it, and the group that the config names.
 * It is executable if the pushed file is.
 */
export function configMode({ mode = 0 }: Pick<Artifact, 'mode'>, hasGroup: boolean): number {
  const isExecutable = (fileMode(mode) & 0o111) !== 0;
  return (hasGroup ? 0o640 : 0o600) | (isExecutable ? (hasGroup ? 0o110 : 0o100) : 0);
}

/**
 * The mode bits that new entries of `directory` do not get, because of the umask or of a default ACL. It makes a
 * directory to see, because process.umask() would change the umask for a moment.
 */
export async function maskedBits(directory: string): Promise<number> {
  const probe = join(directory, '.mask');
  await mkdir(probe, { mode: 0o777 });
  const { mode } = await lstat(probe);
  await rmdir(probe);
  return 0o777 & ~mode;
}
