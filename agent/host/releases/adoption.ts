import { realpath } from 'node:fs/promises';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { ignoreCode, lstatIfAny } from '../fs/durable-files.ts';
import { liesIn, trustedRealPath } from '../fs/trusted-path.ts';
import { wayBackProblem } from './current-link.ts';
import { recordOf } from './release-record.ts';
import type { Places } from './staging.ts';

/** What ran before trigger-deploy, and the version that its release gets. */
export interface Adopted {
  path: string;
  version: string;
}

/** How `adopt` makes a complete release of what ran before. */
export interface Adoption {
  /** `record`: the files are in the place of the release already, and only its record is missing. */
  work: 'copy' | 'record' | 'nothing';
}

/**
 * What `adopt` of the config has to do; undefined if it does not apply. It applies where there is no `current`. It also
 * replaces a `current` that is no way back (a directory, a link elsewhere, an incomplete release), but only by a copy of
 * itself: `path` must lie in it. `check` and each deployment use this one test. `ownPath` is where `path` is in a release.
 * @throws PACKAGE_INVALID when others could have made a link in `path`, or when `path` is another part of the release's
 * own place, which a copy would replace.
 */
export async function adoptionOf(
  places: Places,
  { path, version }: Adopted,
  ownPath: (release: string) => string,
): Promise<Adoption | undefined> {
  const there = await lstatIfAny(places.current);
  if (there && !(await wayBackProblem(places))) return undefined;
  const record = await recordOf(places, version);
  if (!there && record) return { work: 'nothing' };
  const from = await ifAny(trustedRealPath(path));
  if (from === undefined || (record && record.artifacts.length > 0)) return undefined;
  if (there && !liesIn(from, await ifAny(realpath(places.current)))) return undefined;
  const place = places.release(version);
  const real = await ifAny(realpath(place));
  if (!liesIn(from, real)) return { work: 'copy' };
  // A record says what was there: a new one would hide what is missing.
  if (from === ownPath(real ?? place)) return record ? undefined : { work: 'record' };
  throw new TriggerDeployError(
    'PACKAGE_INVALID',
    `${path} cannot be adopted as ${version}: it lies in ${place}`,
    {
      hint: `give another \`version\` under \`adopt\`, or name ${ownPath(place)} as its \`path\``,
    },
  );
}

/** Undefined where nothing exists: a link that leads nowhere, or to itself, included. */
async function ifAny(path: Promise<string>): Promise<string | undefined> {
  return await path
    .catch(ignoreCode('ENOENT', undefined))
    .catch(ignoreCode('ENOTDIR', undefined))
    .catch(ignoreCode('ELOOP', undefined));
}
