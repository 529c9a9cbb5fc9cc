import { basename } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { versionName } from '../../../shared/names.ts';
import type { ManifestStore, PackageType } from '../../deploy/ports.ts';
import { assertSpace } from '../fs/space.ts';
import { type CommandRegistry, UNREGISTERED } from '../process/command-registry.ts';
import { createReleases } from '../releases/releases.ts';
import { placesOf } from '../releases/staging.ts';
import { type ContentsSource, createContents, inspectRelease, unmetIn } from './contents.ts';
import { bareVersion, inspectDeb, installed, isSettled } from './dpkg.ts';
import { createDpkgUnits } from './dpkg-unit.ts';
import { checkHost, inspectPackage } from './host.ts';
import { createInstaller } from './install.ts';
import { lookAtFiles } from './shown-files.ts';
import { ensureUndo } from './undo.ts';

/**
 * Package type `deb`. The .deb files are kept as releases, which are complete or absent, as for every package type. The
 * current version is the version that dpkg has installed; there is no `current` link.
 */

export interface DebOptions extends ContentsSource {
  dir: string;
  keep: number;
  acceptNoUndo: boolean;
  /** ms */
  installTimeout: number;
  /** ms */
  lockTimeout: number;
  manifests: ManifestStore;
  commands?: CommandRegistry | undefined;
}

/** dpkg unpacks most files to this file system, which needs space for the new files beside the old ones. */
const UNPACKED_IN = '/usr';
/** Timeout of queries to dpkg that have no signal, ms. */
const WITHIN = 30_000;

export function createDebPackage(options: DebOptions): PackageType {
  const { service, dir, keep, name, fetchDependencies, installTimeout, lockTimeout } = options;
  const contents = createContents(options);
  const releases = createReleases({ dir, keep }, contents);
  const units = createDpkgUnits({
    service,
    dir,
    timeout: installTimeout,
    start: (options.commands ?? UNREGISTERED).indivisible,
  });
  const installer = createInstaller({ service, name, units, lockTimeout });
  const undo = { ...options, releases, contents };
  const releaseOf = placesOf(dir).release;

  /** Returns the unmet dependencies. @throws PACKAGE_INVALID, NO_SPACE. */
  async function unmetDependencies(version: string, signal: AbortSignal): Promise<string[]> {
    const deb = await inspectRelease(releaseOf(version), { name, version }, signal);
    await assertSpace(UNPACKED_IN, { bytes: deb.installedSize, inodes: 0 }, `${name} ${version}`);
    return await unmetIn(releaseOf(version), deb, signal);
  }

  async function current(): Promise<string | null> {
    const here = await installed(name, AbortSignal.timeout(WITHIN));
    if (!here) return null;
    const version = bareVersion(here.version);
    if (versionName.safeParse(version).success) return version;
    throw new TriggerDeployError(
      'PACKAGE_INVALID',
      `dpkg has ${name} ${here.version}, which is not a valid version name`,
      {
        hint: 'install another version by hand, then deploy',
      },
    );
  }

  async function isWhole(): Promise<boolean> {
    const here = await installed(name, AbortSignal.timeout(WITHIN));
    return here === undefined || isSettled(here);
  }

  return {
    type: 'deb',

    installsUnit: true,

    checkHost,

    inspect: () => inspectPackage(name),

    async versionOf(file) {
      if (!file.endsWith('.deb')) return undefined;
      return bareVersion((await inspectDeb(file, basename(file), AbortSignal.timeout(WITHIN))).version);
    },

    releases: releases.releases,

    current,

    isWhole,

    adopt: async () => null,

    async prepare(order, note, signal) {
      let { downloaded } = await releases.prepare(order, note, signal);
      let unmet = await unmetDependencies(order.version, signal);
      if (unmet.length > 0 && fetchDependencies && downloaded === 0) {
        // The release was prepared earlier. This machine has lost a dependency since: download the dependencies.
        downloaded += (await releases.prepare({ ...order, fresh: true }, note, signal)).downloaded;
        unmet = await unmetDependencies(order.version, signal);
      }
      if (unmet.length > 0) {
        throw new TriggerDeployError(
          'DEPENDENCY_UNMET',
          `${name} ${order.version} needs ${unmet.join('; ')}`,
          {
            hint: fetchDependencies
              ? 'run apt-get update, or add the repository that has the missing packages'
              : 'install the missing packages first, or set `fetchDependencies: true` in the config',
          },
        );
      }
      return { downloaded: downloaded + (await ensureUndo(undo, order.version, note, signal)) };
    },

    async switchTo(version, change) {
      await units.settle(change.signal);
      if (version === null) return await installer.remove(change);
      if (!(await releases.record(version))) {
        // The installed version needs no release.
        if (!change.again && (await current()) === version && (await isWhole())) return;
        throw new TriggerDeployError(
          'RELEASE_INCOMPLETE',
          `there is no .deb of ${name} ${version} in ${dir}; the installed package is unchanged`,
          { hint: `install it by hand: apt-get install ${name}=${version}` },
        );
      }
      await installer.install(version, releaseOf(version), change);
    },

    look: (_version, processes, before) => lookAtFiles(name, processes, before),

    async prune(keepThese) {
      const here = await current();
      return await releases.prune(new Set([...keepThese, ...(here === null ? [] : [here])]));
    },
  };
}
