import { join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { type Artifact, releasePlace } from '../../../shared/manifest.ts';
import { lstatIfAny, makeNew } from '../fs/durable-files.ts';

/** The number of directories that the paths of the artifacts need at most. */
export function directoriesOf(artifacts: readonly Artifact[]): number {
  return artifacts.reduce((sum, artifact) => sum + releasePlace(artifact).split('/').length - 1, 0);
}

/**
 * Makes the missing directories of `place`, a path in `release`, and returns the whole path. Nobody else may write to
 * `release` at this time. @throws PACKAGE_INVALID if the package has a link or a file in place of a directory: a link
 * could lead out of the release.
 */
export async function makePlace(release: string, place: string): Promise<string> {
  const directories = place.split('/').slice(0, -1);
  for (const [i] of directories.entries()) {
    const below = directories.slice(0, i + 1).join('/');
    const path = join(release, below);
    const there = await lstatIfAny(path);
    if (!there) await makeNew(path, 0o755);
    else if (!there.isDirectory()) {
      const what = there.isSymbolicLink() ? 'a link' : 'a file';
      throw new TriggerDeployError(
        'PACKAGE_INVALID',
        `the config file ${place} needs the directory ${below}, but the package has ${what} there`,
        { hint: 'choose another path for the config file, or change the package' },
      );
    }
  }
  return join(release, place);
}
