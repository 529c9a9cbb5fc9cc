import { basename } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { versionName } from '../../../shared/names.ts';
import { timeSpan } from '../../../shared/spans.ts';
import type { ManifestStore, PackageType } from '../../deploy/ports.ts';
import { assertSpace } from '../fs/space.ts';
import { type CommandRegistry, UNREGISTERED } from '../process/command-registry.ts';
import { assertOwned } from '../releases/ownership.ts';
import { createReleases } from '../releases/releases.ts';
import { inStaging, placesOf } from '../releases/staging.ts';
import { assertInstallable } from './conflicts.ts';
import { type ContentsSource, createContents, inspectRelease, unmetIn } from './contents.ts';
import { areInstalled, bareVersion, type Database, inspectDeb, installed, isSettled } from './dpkg.ts';
import { createDpkgUnits } from './dpkg-unit.ts';
import { checkHost, inspectPackage } from './host.ts';
import { createInstaller } from './install.ts';
import { type Installation, installationOf } from './installation.ts';
import { lookAtFiles } from './shown-files.ts';
import { databaseAfter } from './simulated-database.ts';
import { ensureUndo } from './undo.ts';
import { pruneUndoSets, readUndoSet } from './undo-set.ts';

/**
 * Package type `deb`. The .deb files are kept as releases, which are complete or absent, as for every package type. The
 * current version is the version that dpkg has installed; there is no `current` link. With `companions`, a version is
 * several packages: they are installed by one run of dpkg, and undone together.
 */

export interface DebOptions extends ContentsSource {
  dir: string;
  keep: number;
  serviceUser?: string | undefined;
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
  const {
    service,
    dir,
    keep,
    serviceUser,
    name,
    companions,
    fetchDependencies,
    installTimeout,
    lockTimeout,
  } = options;
  const contents = createContents(options);
  const releases = createReleases({ dir, keep, serviceUser }, contents);
  const units = createDpkgUnits({
    service,
    dir,
    timeout: installTimeout,
    start: (options.commands ?? UNREGISTERED).indivisible,
  });
  const installer = createInstaller({ service, names: [name, ...companions], units, lockTimeout });
  const undo = { ...options, releases, contents };
  const releaseOf = placesOf(dir).release;

  const planOf = (version: string, direction: 'forward' | 'back', signal: AbortSignal) =>
    installationOf({ name, companions, dir, version, direction }, signal);

  /** What a deployment would do, and the dependencies that it lacks. @throws PACKAGE_INVALID, NO_SPACE. */
  async function planForward(version: string, signal: AbortSignal) {
    const plan = await planOf(version, 'forward', signal);
    const bytes = plan.packages.reduce((sum, deb) => sum + deb.installedSize, 0);
    await assertSpace(UNPACKED_IN, { bytes, inodes: 0 }, `${name} ${version}`, signal);
    return { plan, unmet: await unmetIn(plan.packages, plan.beside, { signal }) };
  }

  /** @throws PACKAGE_CONFLICT. */
  async function assertPossible({ packages, beside, remove }: Installation, signal: AbortSignal) {
    const check = (at: Database) => assertInstallable([...packages, ...beside], at);
    if (remove.length === 0) return await check({ signal });
    await inStaging(
      placesOf(dir),
      async (scratch) => check(await databaseAfter({ installed: [], removed: remove }, { signal }, scratch)),
      signal,
    );
  }

  async function current(): Promise<string | null> {
    const here = await installed(name, { signal: AbortSignal.timeout(WITHIN) });
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
    const signal = AbortSignal.timeout(WITHIN);
    const here = await installed(name, { signal });
    if (here === undefined) return true;
    if (!isSettled(here)) return false;
    const version = bareVersion(here.version);
    if (companions.length === 0 || !(await releases.record(version))) return true;
    const [, ...others] = await inspectRelease(releaseOf(version), { name, companions, version }, signal);
    return await areInstalled(others, { signal });
  }

  return {
    type: 'deb',

    installsUnit: true,

    checkHost,

    inspect: () => inspectPackage([name, ...companions]),

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
      let { plan, unmet } = await timeSpan('verify', () => planForward(order.version, signal));
      if (unmet.length > 0 && fetchDependencies && downloaded === 0) {
        // The release was prepared earlier. This machine has lost a dependency since: download the dependencies.
        downloaded += (await releases.prepare({ ...order, fresh: true }, note, signal)).downloaded;
        ({ plan, unmet } = await planForward(order.version, signal));
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
      await assertPossible(plan, signal);
      return { downloaded: downloaded + (await ensureUndo(undo, plan, note, signal)) };
    },

    async switchTo(version, change) {
      await assertOwned(dir, serviceUser);
      await units.settle(change.signal);
      if (version === null) {
        const { debs, absent } = await readUndoSet(dir, null, change.signal);
        return await installer.remove([name, ...absent], debs, change);
      }
      if (!(await releases.record(version))) {
        // The installed version needs no release.
        if (!change.again && (await current()) === version && (await isWhole())) return;
        throw new TriggerDeployError(
          'RELEASE_INCOMPLETE',
          `there is no .deb of ${name} ${version} in ${dir}; the installed package is unchanged`,
          { hint: `install it by hand: apt-get install ${name}=${version}` },
        );
      }
      await installer.install(await planOf(version, change.direction, change.signal), change);
    },

    look: (_version, processes, before) => lookAtFiles(name, processes, before),

    async prune(keepThese, signal) {
      const here = await current();
      const pruned = await releases.prune(new Set([...keepThese, ...(here === null ? [] : [here])]), signal);
      await pruneUndoSets(dir, async (version) => (await releases.record(version)) !== undefined);
      return pruned;
    },
  };
}
