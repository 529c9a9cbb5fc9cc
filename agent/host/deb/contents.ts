import { copyFile, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { timeSpan } from '../../../shared/spans.ts';
import type { ArtifactStore } from '../../deploy/ports.ts';
import { ignoreCode, lstatIfAny, makeNew } from '../fs/durable-files.ts';
import { downloadArtifact } from '../releases/download.ts';
import type { Contents } from '../releases/releases.ts';
import { fileDigest } from '../releases/tree-digest.ts';
import { download, planFor } from './apt.ts';
import { unmetBy } from './dependencies.ts';
import { architecture, bareVersion, type Database, type DebFile, inspectDeb } from './dpkg.ts';

/**
 * The contents of a deb's release: `package.deb`, in `companions/` the packages that are pushed and installed with it,
 * and in `dependencies/` what apt downloaded. The packages are checked against the config and this machine before dpkg
 * runs any of their code.
 */

/** The packages that the config allows a service to install. */
export interface AllowedPackages {
  /** The package whose version is the version of the service. */
  name: string;
  /** Packages of the same version that are installed and rolled back with it, such as redis-tools with redis-server. */
  companions: readonly string[];
}

export interface ContentsSource extends AllowedPackages {
  service: string;
  fetchDependencies: boolean;
  store: ArtifactStore;
}

export const debIn = (release: string) => join(release, 'package.deb');
const companionsIn = (release: string) => join(release, 'companions');

/** The control fields of the package and of its companions; the package is the first. */
export type Packages = [DebFile, ...DebFile[]];

/** The paths of the .deb files in a directory; empty if there is no such directory. */
export async function debsIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(ignoreCode('ENOENT', [] as string[]));
  return names.filter((name) => name.endsWith('.deb')).map((name) => join(directory, name));
}

/** The dependencies in the release. */
export async function dependenciesIn(release: string, signal: AbortSignal): Promise<DebFile[]> {
  const files = await debsIn(join(release, 'dependencies'));
  return await Promise.all(files.map((file) => inspectDeb(file, basename(file), signal)));
}

/**
 * Returns the control fields of `package.deb` and of its companions.
 * @throws PACKAGE_INVALID unless the fields match the config, `version` and the architecture of this machine.
 */
export async function inspectRelease(
  release: string,
  { name, companions, version }: AllowedPackages & { version: string },
  signal: AbortSignal,
): Promise<Packages> {
  const called = `the .deb of ${version}`;
  const main = await inspectDeb(debIn(release), called, signal);
  if (main.name !== name) {
    throw invalid(`${called} contains the package ${main.name}; the config allows only ${name}`);
  }
  const files = await debsIn(companionsIn(release));
  const others = await Promise.all(files.map((file) => inspectDeb(file, basename(file), signal)));
  const native = await architecture(signal);
  for (const deb of [main, ...others]) {
    const its = deb === main ? called : `the .deb of ${deb.name}`;
    if (deb !== main && !companions.includes(deb.name)) {
      throw invalid(`${its} is not allowed: ${allowed({ name, companions })}`);
    }
    if (bareVersion(deb.version) !== version) {
      throw invalid(`${its} has version ${deb.version}`, 'push a .deb under its own version');
    }
    if (deb.architecture !== 'all' && deb.architecture !== native) {
      throw invalid(`${its} is for ${deb.architecture}; this machine is ${native}`);
    }
  }
  return [main, ...others];
}

function allowed({ name, companions }: AllowedPackages): string {
  return `the config allows only ${[name, ...companions].join(', ')}`;
}

export function createContents(source: ContentsSource): Contents {
  const { service, name, companions, fetchDependencies, store } = source;
  return {
    type: 'deb',

    accept(artifacts) {
      for (const artifact of artifacts) {
        if (artifact.role === 'config') {
          throw invalid(`${artifact.name}: a deb cannot have config files`, 'put the files into the package');
        }
        if (!artifact.name.endsWith('.deb')) throw invalid(`${artifact.name} is not a .deb`);
      }
      if (artifacts.length <= 1 + companions.length) return;
      throw invalid(
        `the version has ${artifacts.length} .deb files; ${allowed(source)}`,
        'name the other packages in the config: `companions: [redis-tools]`',
      );
    },

    needs: (artifacts) => ({
      bytes: artifacts.reduce((sum, { size }) => sum + size, 0),
      inodes: artifacts.length + 6,
    }),

    async fill({ release, scratch }, { order, note, signal }) {
      const { version } = order;
      let downloaded = 0;
      if (order.artifacts.length > 1) await mkdir(companionsIn(release));
      for (const [i, artifact] of order.artifacts.entries()) {
        const path = join(scratch, `${i}.deb`);
        downloaded += await downloadArtifact({ store, service, version, artifact, path, note, signal });
        await rename(path, await placeOf(path, release, artifact.name, order.artifacts.length, signal));
      }
      const allowed = { name, companions, version };
      const debs = await timeSpan('verify', () => inspectRelease(release, allowed, signal));
      if (fetchDependencies && (await unmetIn(debs, [], { signal })).length > 0) {
        note(`downloading the dependencies of ${name} ${version}`);
        downloaded += await fetchInto(release, scratch, debs, signal);
      }
      return downloaded;
    },

    async verify(place, _into, { order }) {
      const files = [debIn(place), ...(await debsIn(companionsIn(place)))];
      const found = await Promise.all(files.map((file) => fileDigest(file).catch(() => undefined)));
      const wanted = order.artifacts.map(({ sha256 }) => sha256);
      if (wanted.length === found.length && wanted.every((sha256) => found.includes(sha256))) return 0;
      throw new TriggerDeployError(
        'ARTIFACT_DIGEST_MISMATCH',
        `${files.join(', ')} differs from the deployed file`,
        {
          hint: 'a process has this file open: end that process, then deploy again',
        },
      );
    },

    measure: async (path) => ({ bytes: (await stat(path)).size, inodes: 4 }),

    ownPath: debIn,

    copy: (path, release) => copyFile(path, debIn(release)),
  };

  /** Where the release keeps the .deb in `path`. A single .deb is `package.deb`, whatever package it contains. */
  async function placeOf(path: string, release: string, called: string, of: number, signal: AbortSignal) {
    if (of === 1) return debIn(release);
    const deb = await inspectDeb(path, called, signal);
    const isMain = deb.name === name;
    if (!isMain && !companions.includes(deb.name)) {
      throw invalid(`${called} contains the package ${deb.name}; ${allowed(source)}`);
    }
    const place = isMain ? debIn(release) : join(companionsIn(release), `${deb.name}.deb`);
    if (await lstatIfAny(place)) throw invalid(`two files contain the package ${deb.name}`);
    return place;
  }
}

/** The unmet dependencies of `debs`, which are installed together with `beside`; as texts for a message. */
export async function unmetIn(
  debs: readonly DebFile[],
  beside: readonly DebFile[],
  at: Database,
): Promise<string[]> {
  const all = [...debs, ...beside];
  const unmet = await Promise.all(all.map((deb) => unmetBy(deb, all, at)));
  return [...new Set(unmet.flat())];
}

/**
 * Downloads the dependencies that apt chooses into the release; returns the number of bytes.
 * @throws DEPENDENCY_UNMET, also when apt would have to remove a package.
 */
async function fetchInto(
  release: string,
  scratch: string,
  debs: Packages,
  signal: AbortSignal,
): Promise<number> {
  const [main] = debs;
  const refuse = (why: string, detail?: string) =>
    new TriggerDeployError('DEPENDENCY_UNMET', `the dependencies of ${main.name} ${main.version} ${why}`, {
      detail,
      hint: 'run apt-get update, or add the repository that has the missing packages',
    });
  const plan = await planFor(
    debs.map(({ file }) => file),
    signal,
  );
  if (typeof plan === 'string') throw refuse('are not available from apt', plan);
  if (plan.remove.length > 0) {
    throw refuse(`would require the removal of ${plan.remove.join(', ')}; the agent removes no packages`);
  }
  const own = new Set(debs.map((deb) => `${deb.name}=${deb.version}`));
  const wanted = plan.install.filter((one) => !own.has(one));
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
