import { placesOf } from '../releases/staging.ts';
import { type AllowedPackages, dependenciesIn, inspectRelease, type Packages, unmetIn } from './contents.ts';
import { areInstalled, compareVersions, type DebFile, installed, isSettled } from './dpkg.ts';
import { readUndoSet } from './undo-set.ts';

/** What dpkg has to do to make a version the current one. */
export interface Installation {
  /** The package and its companions. The version is current when dpkg has all of them, configured. */
  packages: Packages;
  /** Dependencies, and packages to bring back to the version that they had with this version. */
  beside: DebFile[];
  /** Companions to remove first, because this version had none. */
  remove: string[];
}

/**
 * The installation of a version that has a release in `dir`. A package that a later version moved is brought back in a
 * rollback; in another deployment only if this version cannot do with the one that is installed.
 * @throws PACKAGE_INVALID.
 */
export async function installationOf(
  {
    dir,
    version,
    direction,
    ...allowed
  }: AllowedPackages & {
    dir: string;
    version: string;
    direction: 'forward' | 'back';
  },
  signal: AbortSignal,
): Promise<Installation> {
  const release = placesOf(dir).release(version);
  const packages = await inspectRelease(release, { ...allowed, version }, signal);
  const dependencies: DebFile[] = [];
  for (const deb of await dependenciesIn(release, signal)) {
    if (!(await isEnough(deb, signal))) dependencies.push(deb);
  }
  const undo = await readUndoSet(dir, version, signal);
  const names = new Set(packages.map(({ name }) => name));
  const moved: DebFile[] = [];
  for (const deb of undo.debs) {
    if (!names.has(deb.name) && !(await areInstalled([deb], { signal }))) moved.push(deb);
  }
  const isCompanion = (deb: DebFile) => allowed.companions.includes(deb.name);
  const least = [...dependencies, ...moved.filter(isCompanion)];
  const canDoWithLeast = direction === 'forward' && (await unmetIn(packages, least, { signal })).length === 0;
  const all = [...dependencies.filter((one) => !moved.some(({ name }) => name === one.name)), ...moved];
  const remove: string[] = [];
  for (const name of undo.absent.filter((one) => allowed.companions.includes(one) && !names.has(one))) {
    if (await installed(name, { signal })) remove.push(name);
  }
  return { packages, beside: canDoWithLeast ? least : all, remove };
}

/** Whether the machine has the package in the same or a newer version. */
async function isEnough(deb: DebFile, signal: AbortSignal): Promise<boolean> {
  const here = await installed(deb.name, { signal });
  return (
    here !== undefined && isSettled(here) && (await compareVersions(here.version, 'ge', deb.version, signal))
  );
}
