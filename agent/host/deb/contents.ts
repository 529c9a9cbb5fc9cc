import { copyFile, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import type { ArtifactStore } from '../../deploy/ports.ts';
import { ignoreCode, makeNew } from '../fs/durable-files.ts';
import { downloadArtifact } from '../releases/download.ts';
import type { Contents } from '../releases/releases.ts';
import { fileDigest } from '../releases/tree-digest.ts';
import { download, planFor } from './apt.ts';
import { unmetBy } from './dependencies.ts';
import { architecture, bareVersion, type DebFile, inspectDeb } from './dpkg.ts';

/**
 * The contents of a deb's release: `package.deb`, and in `dependencies/` the dependencies that apt downloaded.
 * `package.deb` is checked against the config and this machine before dpkg runs any of its code.
 */

export interface ContentsSource {
  service: string;
  /** The package name from the config. A .deb of another package is refused. */
  name: string;
  fetchDependencies: boolean;
  store: ArtifactStore;
}

export const debIn = (release: string) => join(release, 'package.deb');

/** The paths of the dependencies in the release. */
export async function dependenciesIn(release: string): Promise<string[]> {
  const directory = join(release, 'dependencies');
  return (await readdir(directory).catch(ignoreCode('ENOENT', []))).map((name) => join(directory, name));
}

/**
 * Returns the control fields of `package.deb`.
 * @throws PACKAGE_INVALID unless the fields match `name`, `version` and the architecture of this machine.
 */
export async function inspectRelease(
  release: string,
  { name, version }: { name: string; version: string },
  signal: AbortSignal,
): Promise<DebFile> {
  const called = `the .deb of ${version}`;
  const deb = await inspectDeb(debIn(release), called, signal);
  if (deb.name !== name) {
    throw invalid(`${called} contains the package ${deb.name}; the config allows only ${name}`);
  }
  if (bareVersion(deb.version) !== version) {
    throw invalid(`${called} has version ${deb.version}`, 'push a .deb under its own version');
  }
  const native = await architecture(signal);
  if (deb.architecture !== 'all' && deb.architecture !== native) {
    throw invalid(`${called} is for ${deb.architecture}; this machine is ${native}`);
  }
  return deb;
}

/** The dependencies that are met neither by this machine nor by the release's own dependencies. */
export async function unmetIn(release: string, deb: DebFile, signal: AbortSignal): Promise<string[]> {
  const files = await dependenciesIn(release);
  const beside = await Promise.all(files.map((file) => inspectDeb(file, basename(file), signal)));
  return await unmetBy(deb, beside, signal);
}

export function createContents({ service, name, fetchDependencies, store }: ContentsSource): Contents {
  return {
    type: 'deb',

    accept(artifacts) {
      for (const artifact of artifacts) {
        if (artifact.role === 'config') {
          throw invalid(`${artifact.name}: a deb cannot have config files`, 'put the files into the package');
        }
        if (!artifact.name.endsWith('.deb')) throw invalid(`${artifact.name} is not a .deb`);
      }
    },

    needs: (artifacts) => ({
      bytes: artifacts.reduce((sum, { size }) => sum + size, 0),
      inodes: artifacts.length + 6,
    }),

    async fill({ release, scratch }, { order, note, signal }) {
      const { version } = order;
      let downloaded = 0;
      for (const artifact of order.artifacts) {
        const path = debIn(release);
        downloaded += await downloadArtifact({ store, service, version, artifact, path, note, signal });
      }
      const deb = await inspectRelease(release, { name, version }, signal);
      if (fetchDependencies && (await unmetBy(deb, [], signal)).length > 0) {
        note(`downloading the dependencies of ${name} ${version}`);
        downloaded += await fetchInto(release, scratch, deb, signal);
      }
      return downloaded;
    },

    async verify(place, _into, { order }) {
      const [wanted] = order.artifacts;
      const found = await fileDigest(debIn(place)).catch(() => undefined);
      if (found === wanted?.sha256) return 0;
      throw new TriggerDeployError(
        'ARTIFACT_DIGEST_MISMATCH',
        `${debIn(place)} differs from the deployed file`,
        {
          hint: 'a process has this file open: end that process, then deploy again',
        },
      );
    },

    measure: async (path) => ({ bytes: (await stat(path)).size, inodes: 4 }),

    copy: (path, release) => copyFile(path, debIn(release)),
  };
}

/**
 * Downloads the dependencies that apt chooses into the release; returns the number of bytes.
 * @throws DEPENDENCY_UNMET, also when apt would have to remove a package.
 */
async function fetchInto(
  release: string,
  scratch: string,
  deb: DebFile,
  signal: AbortSignal,
): Promise<number> {
  const refuse = (why: string, detail?: string) =>
    new TriggerDeployError('DEPENDENCY_UNMET', `the dependencies of ${deb.name} ${deb.version} ${why}`, {
      detail,
      hint: 'run apt-get update, or add the repository that has the missing packages',
    });
  const plan = await planFor(debIn(release), signal);
  if (typeof plan === 'string') throw refuse('are not available from apt', plan);
  if (plan.remove.length > 0) {
    throw refuse(`would require the removal of ${plan.remove.join(', ')}; the agent removes no packages`);
  }
  const wanted = plan.install.filter((one) => one !== `${deb.name}=${deb.version}`);
  if (wanted.length === 0) return 0;
  const [fetched, directory] = [join(scratch, 'dependencies'), join(release, 'dependencies')];
  await makeNew(fetched, 0o700);
  const files = await download(wanted, fetched, signal);
  if (typeof files === 'string') throw refuse('could not be downloaded', files);
  await mkdir(directory);
  let bytes = 0;
  for (const file of files) {
    bytes += (await stat(file)).size;
    await rename(file, join(directory, basename(file)));
  }
  return bytes;
}

function invalid(message: string, hint?: string): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', message, { hint });
}
