import { realpath, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { linksTo } from '../../../shared/archive/archive-rules.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { releasePlace } from '../../../shared/manifest.ts';
import { timeSpan } from '../../../shared/spans.ts';
import type { ArtifactStore } from '../../deploy/ports.ts';
import { lstatIfAny } from '../fs/durable-files.ts';
import { liesIn } from '../fs/trusted-path.ts';
import { copyTree, measureTree, type Source, withSource } from './adopted-files.ts';
import { giveConfig } from './config-access.ts';
import { directoriesOf, makePlace } from './config-place.ts';
import { downloadArtifact } from './download.ts';
import { type Contents, createReleases, type ReleaseOptions, type Releases } from './releases.ts';
import { treeDigest } from './tree-digest.ts';
import { unpack } from './unpack.ts';

/**
 * Package type `archive`: a tar, plain or gzipped, that is unpacked to `releases/VERSION`. Config files are placed in
 * it, and replace files of the same path.
 */
export function createArchivePackage(options: ArchiveOptions): Releases {
  return createReleases(options, archiveContents(options));
}

interface ArchiveOptions extends ReleaseOptions {
  service: string;
  store: ArtifactStore;
  /** The places outside the release that links may lead to: absolute, or from the release's directory (`../../shared`). */
  allowLinks?: readonly string[] | undefined;
}

const NAMES = /\.(tar|tar\.gz|tgz)$/;

function archiveContents({ service, store, dir, allowLinks = [] }: ArchiveOptions): Contents {
  const fill: Contents['fill'] = async ({ release, scratch }, { order, configGroup, note, signal }) => {
    const { version, artifacts } = order;
    let downloaded = 0;
    // Numbers, because a config file may have any name that the archive's own copy could have.
    const files = artifacts.map((artifact, i) => ({ artifact, path: join(scratch, String(i)) }));
    for (const { artifact, path } of files) {
      const request = { store, service, version, artifact, path, note, signal };
      downloaded += await downloadArtifact({ ...request, stays: artifact.role === 'config' });
    }
    const allowsLink = linksTo(allowLinks, join(await realpath(dir), 'releases', version));
    for (const { artifact, path } of files.filter((one) => one.artifact.role === 'package')) {
      const { name } = artifact;
      note(`unpacking ${name}`);
      await timeSpan('unpack', () => unpack(path, release, { name, allowsLink, signal }));
    }
    for (const { artifact, path } of files.filter((one) => one.artifact.role === 'config')) {
      await giveConfig(path, artifact, configGroup);
      await placeConfig(path, await makePlace(release, releasePlace(artifact)));
    }
    return downloaded;
  };

  return {
    type: 'archive',

    accept(artifacts) {
      for (const { role, name } of artifacts) {
        if (role === 'package' && !NAMES.test(name)) throw invalid(`${name} is not a .tar, .tar.gz or .tgz`);
      }
    },

    /** The archive, and the same size again for its contents. `unpack` checks the exact space after the download. */
    needs: (artifacts) => ({
      bytes: 2 * artifacts.reduce((sum, { size }) => sum + size, 0),
      inodes: 2 * artifacts.length + directoriesOf(artifacts) + 6,
    }),

    fill,

    /** No digest of the unpacked files is stored: the archive is downloaded and unpacked again, and compared. */
    async verify(place, into, job) {
      const downloaded = await fill(into, job);
      const [found, wanted] = [
        await treeDigest(place, job.signal),
        await treeDigest(into.release, job.signal),
      ];
      if (found === wanted) return downloaded;
      throw new TriggerDeployError('ARTIFACT_DIGEST_MISMATCH', `${place} differs from the deployed archive`, {
        hint: 'a current release cannot be replaced: deploy another version first',
      });
    },

    measure: (path) =>
      withSource(path, async (source) => {
        assertDirectory(source);
        return await measureTree(source);
      }),

    ownPath: (release) => release,

    copy: (path, release) =>
      withSource(path, async (source) => {
        assertDirectory(source);
        if (liesIn(await realpath(release), source.path)) {
          throw invalid(`${path} contains the service's own directory: cannot copy it into itself`);
        }
        await copyTree(source, release);
      }),
  };
}

function assertDirectory({ stat, path }: Source): void {
  if (!stat.isDirectory()) throw invalid(`${path} is not a directory: cannot adopt it`);
}

async function placeConfig(from: string, to: string): Promise<void> {
  const there = await lstatIfAny(to);
  if (there?.isDirectory()) throw invalid(`the archive has a directory in place of the config file ${to}`);
  if (there) await rm(to);
  await rename(from, to);
}

function invalid(message: string): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', message);
}
