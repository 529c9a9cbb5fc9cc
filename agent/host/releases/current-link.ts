import { readlink, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { versionName } from '../../../shared/names.ts';
import { fsyncDirectory, ignoreCode, lstatIfAny, pointAt } from '../fs/durable-files.ts';
import { recordOf } from './release-record.ts';
import type { Places } from './staging.ts';
import { damageOf } from './wholeness.ts';

/** `DIR/current`, the link to the running release of a jar or archive. */

/**
 * The version that `current` points at; null if there is no link.
 * @throws RELEASE_CONFLICT when `current` is anything but a link to a release in `releases`.
 */
export async function readCurrentLink(places: Places): Promise<string | null> {
  const { dir, current, releases } = places;
  const link = await lstatIfAny(current);
  if (!link) return null;
  const target = link.isSymbolicLink() ? await readlink(current) : undefined;
  const path = target === undefined ? current : resolve(dir, target);
  const version = path.slice(releases.length + 1);
  if (dirname(path) === releases && versionName.safeParse(version).success) return version;
  const what = target === undefined ? 'is not a symbolic link to' : `points at ${target}, not at`;
  throw new TriggerDeployError('RELEASE_CONFLICT', `${current} ${what} a release in ${releases}`, {
    hint: await hintFor(places, target),
  });
}

async function hintFor({ current }: Places, target: string | undefined): Promise<string> {
  const exists = await stat(current).then(
    () => true,
    () => false,
  );
  if (!exists)
    return `${target} does not exist: remove ${current}, or point it at what runs and name that under \`adopt\``;
  return `name what runs in ${current} as the \`path\` of \`adopt\` in the config: the next deployment then makes a release of it; or move ${current} to another place`;
}

/**
 * Why a deployment of `next` could not be rolled back to what is current; undefined if it could be. `check` and each
 * preparation use this one test.
 */
export async function wayBackProblem(places: Places, next?: string): Promise<TriggerDeployError | undefined> {
  try {
    const version = await readCurrentLink(places);
    if (version === null || version === next) return undefined;
    const place = places.release(version);
    const record = await recordOf(places, version);
    const damage = record
      ? await damageOf(place, record)
      : 'is missing, incomplete or not a release of trigger-deploy';
    if (damage === undefined) return undefined;
    const message = `${places.current} points at ${place}, which ${damage}`;
    return new TriggerDeployError('UNDO_IMPOSSIBLE', `${message}: a deployment could not be rolled back`, {
      hint: `deploy ${version} again, or name what runs there as the \`path\` of \`adopt\`, or set \`acceptNoUndo: true\` in the config`,
    });
  } catch (error) {
    if (isCode(error, 'RELEASE_CONFLICT')) return error;
    throw error;
  }
}

/** Removes `current`. Syncs even if there is no link: an interrupted earlier removal may not be on disk. */
export async function removeCurrentLink(places: Places): Promise<void> {
  if ((await readCurrentLink(places)) !== null) await rm(places.current);
  await fsyncDirectory(places.dir).catch(ignoreCode('ENOENT', undefined));
}

/** An abort of `signal` that comes before the link is replaced leaves it as it is. */
export async function setCurrentLink(places: Places, version: string, signal?: AbortSignal): Promise<void> {
  const current = await readCurrentLink(places);
  if (!(await recordOf(places, version))) {
    throw new TriggerDeployError(
      'RELEASE_INCOMPLETE',
      `the release ${places.release(version)} is missing or incomplete; current is unchanged`,
    );
  }
  // The release must be on disk before the link: an agent that was killed may have published it without a sync.
  await fsyncDirectory(places.releases);
  signal?.throwIfAborted();
  // A correct link is not written again: on a full disk, the write would fail a rollback that has nothing to switch.
  if (current === version) await fsyncDirectory(places.dir);
  else await pointAt(places.current, join('releases', version));
}

/**
 * Points `current` at the release, whatever `current` is: a link is replaced in one step; a file or a directory is first
 * renamed, and kept beside it. A kill in between leaves no `current`, which the next call makes.
 * @throws RELEASE_CONFLICT when it cannot be renamed, such as a mount point.
 */
export async function takeOverCurrent(places: Places, version: string, signal: AbortSignal): Promise<void> {
  const { current, releases, dir } = places;
  const there = await lstatIfAny(current);
  if (there && !there.isSymbolicLink()) {
    await fsyncDirectory(releases);
    signal.throwIfAborted();
    await rename(current, await freeName(`${current}.before-adopt`)).catch((cause: unknown) => {
      throw new TriggerDeployError('RELEASE_CONFLICT', `${current} cannot be renamed: ${messageOf(cause)}`, {
        cause,
        hint: `move ${current} to another place`,
      });
    });
    await fsyncDirectory(dir);
  } else if (there && (await readCurrentLink(places).catch(() => null)) === null) {
    await fsyncDirectory(releases);
    signal.throwIfAborted();
    return await pointAt(current, join('releases', version));
  }
  await setCurrentLink(places, version, signal);
}

async function freeName(path: string): Promise<string> {
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? path : `${path}-${count}`;
    if (!(await lstatIfAny(name))) return name;
  }
}
