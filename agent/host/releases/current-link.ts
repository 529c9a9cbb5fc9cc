import { readlink, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { versionName } from '../../../shared/names.ts';
import { fsyncDirectory, ignoreCode, lstatIfAny, pointAt } from '../fs/durable-files.ts';
import { recordOf } from './release-record.ts';
import type { Places } from './staging.ts';

/** `DIR/current`, the link that says which release of a jar or archive runs. */

/** @throws RELEASE_CONFLICT when `current` is there and is not a link to one of these releases. */
export async function readCurrentLink({ dir, current, releases }: Places): Promise<string | null> {
  const link = await lstatIfAny(current);
  if (!link) return null;
  const target = link.isSymbolicLink() ? await readlink(current) : undefined;
  const path = target === undefined ? current : resolve(dir, target);
  const version = path.slice(releases.length + 1);
  if (dirname(path) === releases && versionName.safeParse(version).success) return version;
  const what = target === undefined ? 'is not a symbolic link' : `points at ${target}`;
  throw new TriggerDeployError('RELEASE_CONFLICT', `${current} ${what}, not at a release in ${releases}`, {
    hint: 'move it away; `adopt` in the config can make a release of what runs',
  });
}

/** Synced also where there is nothing to remove: a removal that was cut short may not be on disk. */
export async function removeCurrentLink(places: Places): Promise<void> {
  if ((await readCurrentLink(places)) !== null) await rm(places.current);
  await fsyncDirectory(places.dir).catch(ignoreCode('ENOENT', undefined));
}

export async function setCurrentLink(places: Places, version: string): Promise<void> {
  const current = await readCurrentLink(places);
  if (!(await recordOf(places, version))) {
    throw new TriggerDeployError(
      'RELEASE_INCOMPLETE',
      `${places.release(version)} is missing or not complete: current stays where it is`,
    );
  }
  // What is named is on disk before its name is: an agent that was killed may have published it and not synced.
  await fsyncDirectory(places.releases);
  // No new link where it points there already, for a full disk may have no room for one: a rollback that finds
  // the old release still current must not fail by that.
  if (current === version) await fsyncDirectory(places.dir);
  else await pointAt(places.current, join('releases', version));
}
