import { randomBytes } from 'node:crypto';
import { access, chmod, constants, lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { NEVER } from '../../../shared/abort.ts';
import { createClock } from '../../../shared/clock.ts';
import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { createWakeUp } from '../../../shared/wake-up.ts';
import { lstatIfAny, makeDirectories, makeNew } from '../fs/durable-files.ts';
import { removeLeftover, stepOver, sweepTemporaries, tellLeftover } from '../fs/leftovers.ts';
import { asNoSpace } from '../fs/space.ts';
import { isSpaceAwaited, sweepLater } from '../fs/sweeper.ts';
import { assertOwned } from './ownership.ts';

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

/** If the first cannot be used (a mount point, an immutable directory, another user's), the next one is. */
const STAGING_NAMES = ['.staging', '.staging-2', '.staging-3'];

const PAUSE_MS = 50;

/** The directories in which a work of this process is under way, with the signal that ends it. */
const inUse = new Map<string, AbortSignal | undefined>();
/** The end of a work ends the pauses of deletions. An abort, or a work that lacks space, is seen after `PAUSE_MS`. */
const workEnded = createWakeUp();
const clock = createClock(Date.now);

/**
 * Runs `work` with an empty, private directory of its own below the staging directory, which is removed afterwards, even
 * after a failure. Other works may run at the same time: one that was abandoned may still write to its own directory.
 * What killed and abandoned works left is removed too. All of it is removed in the background: it may be large, and
 * nothing waits for it. What cannot be removed is told and stepped over.
 * @throws NOT_READY when others could change what is there: then nothing is touched; RELEASE_CONFLICT when no staging
 * directory can be used, or when this process may not write to the directory.
 */
export async function inStaging<T>(
  places: Places,
  work: (staging: string) => Promise<T>,
  signal?: AbortSignal,
): Promise<T> {
  await assertOwned(places.dir);
  await assertWritable(places);
  await makeDirectories(places.dir, 0o755);
  await makeDirectories(places.releases, 0o755);
  await assertOwnDirectory(places.releases);
  const own = await makeOwnDirectory(places, signal);
  try {
    // Only a work that lacks space waits for it.
    removeRemainsLater(places);
    await sweepTemporaries(places.current);
    return await work(own);
  } finally {
    inUse.delete(own);
    workEnded.wake();
    removeRemainsLater(places);
  }
}

function removeRemainsLater(places: Places): void {
  sweepLater(places.dir, () => removeRemains(places));
}

/** Removes what works left in the staging directories. Keeps the directories of works that are under way. */
async function removeRemains(places: Places): Promise<void> {
  for (const name of STAGING_NAMES) {
    const directory = join(places.dir, name);
    await stepOver(directory, async () => {
      if (!(await lstatIfAny(directory))?.isDirectory()) return;
      const left = (await readdir(directory)).map((entry) => join(directory, entry));
      for (const path of left.filter((entry) => !isInUse(entry))) await removeLeftover(path, pause);
    });
  }
}

/** Waits while a work is under way, of whatever service: a deletion slows the disk down. */
async function pause(): Promise<void> {
  while (!isSpaceAwaited() && [...inUse.keys()].some(isInUse)) {
    await workEnded.wait(NEVER, { clock, ms: PAUSE_MS });
  }
}

/** An aborted work has ended or was abandoned: its directory is removed, although it may still write there. */
function isInUse(path: string): boolean {
  return inUse.has(path) && inUse.get(path)?.aborted !== true;
}

async function makeOwnDirectory(places: Places, signal: AbortSignal | undefined): Promise<string> {
  const id = randomBytes(6).toString('hex');
  let first: unknown;
  for (const name of STAGING_NAMES) {
    const directory = join(places.dir, name);
    const own = join(directory, id);
    try {
      await makeDirectories(directory, 0o700);
      await assertOwnDirectory(directory);
      await assertSameFileSystem(directory, places.releases);
      // The mode may have been changed; 0700 prevents others from planting links.
      await chmod(directory, 0o700);
      inUse.set(own, signal);
      await makeNew(own, 0o700);
      return own;
    } catch (error) {
      inUse.delete(own);
      if (asNoSpace(error, directory) !== error) throw error;
      tellLeftover(directory, error);
      first ??= error;
    }
  }
  throw first;
}

/** @throws RELEASE_CONFLICT unless this process may write to the directory of the service, or may make it. */
export async function assertWritable({ dir, releases }: Places): Promise<void> {
  let path = dir;
  while (path !== dirname(path) && (await lstatIfAny(path)) === undefined) path = dirname(path);
  await access(path, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
    const readOnly = asNoSpace(cause, path);
    if (readOnly !== cause) throw readOnly;
    const message = `the agent, as user ${process.getuid?.()}, may not write to ${path}: ${messageOf(cause)}`;
    const hint =
      path === dir
        ? `give ${dir} to the user of the agent`
        : `make ${dir}, and give it to the user of the agent`;
    throw new TriggerDeployError('RELEASE_CONFLICT', message, { hint, cause });
  });
  if (await lstatIfAny(releases)) await assertOwnDirectory(releases);
}

async function assertOwnDirectory(path: string): Promise<void> {
  const stat = await lstatIfAny(path);
  const problem = !stat?.isDirectory()
    ? 'is not a directory'
    : stat.uid !== process.getuid?.()
      ? `belongs to the user ${stat.uid}`
      : undefined;
  if (problem) throw unusable(path, problem);
}

/** A rename, which publishes a release, cannot cross file systems. */
async function assertSameFileSystem(path: string, releases: string): Promise<void> {
  if ((await lstat(path)).dev !== (await lstat(releases)).dev) {
    throw unusable(path, 'is on another file system than the releases');
  }
}

function unusable(path: string, problem: string): TriggerDeployError {
  return new TriggerDeployError('RELEASE_CONFLICT', `${path} ${problem}; the agent does not write to it`, {
    hint: `remove ${path}; the agent creates it again`,
  });
}
