import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { lstatIfAny, makeDirectories, removeTree, sweepTemporaries } from '../fs/durable-files.ts';

/**
 * The paths of a service's releases. The staging directory is on the same file system as the releases, so that a rename
 * can publish a release.
 */
export function placesOf(dir: string) {
  return {
    dir,
    releases: join(dir, 'releases'),
    current: join(dir, 'current'),
    staging: join(dir, '.staging'),
    release: (version: string) => join(dir, 'releases', version),
  };
}
export type Places = ReturnType<typeof placesOf>;

/**
 * Runs `work` with an empty, private staging directory, and empties the directory afterwards, even after a failure.
 * @throws RELEASE_CONFLICT when `staging` or `releases` is not a directory, or does not belong to the agent's user.
 */
export async function inStaging<T>(places: Places, work: (staging: string) => Promise<T>): Promise<T> {
  await makeDirectories(places.dir, 0o755);
  await makeDirectories(places.releases, 0o755);
  await makeDirectories(places.staging, 0o700);
  await assertOwnDirectory(places.releases);
  await assertOwnDirectory(places.staging);
  // The mode may have been changed; 0700 prevents others from planting links.
  await chmod(places.staging, 0o700);
  await removeContents(places.staging);
  await sweepTemporaries(places.current);
  try {
    return await work(places.staging);
  } finally {
    // If files cannot be removed now, the next call removes them or throws.
    await removeContents(places.staging).catch(() => {});
  }
}

async function assertOwnDirectory(path: string): Promise<void> {
  const stat = await lstatIfAny(path);
  const problem = !stat?.isDirectory()
    ? 'is not a directory'
    : stat.uid !== process.getuid?.()
      ? `belongs to the user ${stat.uid}`
      : undefined;
  if (!problem) return;
  throw new TriggerDeployError('RELEASE_CONFLICT', `${path} ${problem}; the agent does not write to it`, {
    hint: `remove ${path}; the agent creates it again`,
  });
}

async function removeContents(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await removeTree(join(directory, name));
}
