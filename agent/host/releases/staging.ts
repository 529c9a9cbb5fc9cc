import { chmod, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { lstatIfAny, makeDirectories, removeTree, sweepTemporaries } from '../fs/durable-files.ts';

/** Where a service's releases lie. The staging is on their file system, so that a rename publishes. */
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
 * Runs `work` with an empty, private staging directory; it is empty again afterwards, whatever happens.
 * @throws RELEASE_CONFLICT when something else stands in its place, or in that of `releases`.
 */
export async function inStaging<T>(places: Places, work: (staging: string) => Promise<T>): Promise<T> {
  await makeDirectories(places.dir, 0o755);
  await makeDirectories(places.releases, 0o755);
  await makeDirectories(places.staging, 0o700);
  await assertOwnDirectory(places.releases);
  await assertOwnDirectory(places.staging);
  // A mode that a person changed: 0700 is what keeps planted links out.
  await chmod(places.staging, 0o700);
  await removeContents(places.staging);
  await sweepTemporaries(places.current);
  try {
    return await work(places.staging);
  } finally {
    // What cannot be removed now is removed, or complained about, the next time.
    await removeContents(places.staging).catch(() => {});
  }
}

async function assertOwnDirectory(path: string): Promise<void> {
  const stat = await lstatIfAny(path);
  const problem = !stat?.isDirectory()
    ? 'is not a directory of its own'
    : stat.uid !== process.getuid?.()
      ? `belongs to the user ${stat.uid}`
      : undefined;
  if (!problem) return;
  throw new TriggerDeployError('RELEASE_CONFLICT', `${path} ${problem}: nothing is written there`, {
    hint: 'remove it; the agent makes it anew',
  });
}

async function removeContents(directory: string): Promise<void> {
  for (const name of await readdir(directory)) await removeTree(join(directory, name));
}
