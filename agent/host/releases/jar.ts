import { chmod, open } from 'node:fs/promises';
import { join } from 'node:path';
import { assertJar } from '../../../shared/archive/jar.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { type Artifact, releasePlace } from '../../../shared/manifest.ts';
import { timeSpan } from '../../../shared/spans.ts';
import type { ArtifactStore } from '../../deploy/ports.ts';
import { copyOpenFile, withSource } from './adopted-files.ts';
import { giveConfig } from './config-access.ts';
import { directoriesOf, makePlace } from './config-place.ts';
import { downloadArtifact } from './download.ts';
import { JAR_MODE } from './release-modes.ts';
import { type Contents, createReleases, type ReleaseOptions, type Releases } from './releases.ts';
import { fileDigest } from './tree-digest.ts';

/**
 * Package type `jar`: `releases/VERSION/SERVICE.jar`, with the config files in the same directory. The jar has the same
 * name in every release, so that the unit's `ExecStart=… -jar DIR/current/SERVICE.jar` never changes.
 */
export function createJarPackage(
  options: ReleaseOptions & { service: string; store: ArtifactStore },
): Releases {
  return createReleases(options, jarContents(options.service, options.store));
}

function jarContents(service: string, store: ArtifactStore): Contents {
  const jarName = `${service}.jar`;
  const placeOf = (artifact: Artifact) => (artifact.role === 'package' ? jarName : releasePlace(artifact));

  return {
    type: 'jar',

    accept(artifacts) {
      for (const artifact of artifacts) {
        const { role, name, size } = artifact;
        if (role === 'package' && size === 0) throw invalid(`${name} is empty`);
        // The jar is there, so no directory can have its name either.
        const [first] = placeOf(artifact).split('/');
        if (role === 'config' && first === jarName) {
          throw invalid(`a config file cannot be named ${jarName}, nor be below it: ${placeOf(artifact)}`);
        }
      }
    },

    needs: (artifacts) => ({
      bytes: artifacts.reduce((sum, { size }) => sum + size, 0),
      inodes: artifacts.length + directoriesOf(artifacts) + 4,
    }),

    async fill({ release }, { order, configGroup, note, signal }) {
      let downloaded = 0;
      for (const artifact of order.artifacts) {
        const { version } = order;
        const path = await makePlace(release, placeOf(artifact));
        downloaded += await downloadArtifact({ store, service, version, artifact, path, note, signal });
        if (artifact.role === 'package') await timeSpan('verify', () => assertJarAt(path, artifact.name));
        if (artifact.role === 'package') await chmod(path, JAR_MODE);
        else await giveConfig(path, artifact, configGroup);
      }
      return downloaded;
    },

    async verify(place, _into, { order }) {
      for (const artifact of order.artifacts) {
        const path = join(place, placeOf(artifact));
        const found = await fileDigest(path).catch(() => undefined);
        if (found === artifact.sha256) continue;
        throw new TriggerDeployError(
          'ARTIFACT_DIGEST_MISMATCH',
          `${path} differs from the deployed file: its sha256 is ${found ?? 'not readable'}`,
          { hint: 'a current release cannot be replaced: deploy another version first' },
        );
      }
      return 0;
    },

    async measure(path) {
      return await withSource(path, async ({ stat }) => {
        if (!stat.isFile()) throw invalid(`${path} is not a file: cannot adopt it`);
        return { bytes: stat.size, inodes: 4 };
      });
    },

    ownPath: (release) => join(release, jarName),

    async copy(path, release) {
      await withSource(path, async (source) => {
        if (!source.stat.isFile()) throw invalid(`${path} is not a file: cannot adopt it`);
        await copyOpenFile(source, join(release, jarName), { keepOwner: false });
      });
    },
  };
}

async function assertJarAt(path: string, name: string): Promise<void> {
  const handle = await open(path);
  try {
    await assertJar(handle, name);
  } finally {
    await handle.close();
  }
}

function invalid(message: string): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', message);
}
