import { copyFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { versionName } from '../../../shared/names.ts';
import type { ManifestStore } from '../../deploy/ports.ts';
import { makeNew } from '../fs/durable-files.ts';
import type { Contents, Releases, WorkDirectories } from '../releases/releases.ts';
import { inStaging, placesOf } from '../releases/staging.ts';
import { download } from './apt.ts';
import { assertInstallable } from './conflicts.ts';
import { type AllowedPackages, debsIn, dependenciesIn, inspectRelease, unmetIn } from './contents.ts';
import { bareRelation } from './dependencies.ts';
import { bareVersion, type Database, type DebFile, inspectDeb, installed, type Known } from './dpkg.ts';
import type { Installation } from './installation.ts';
import { databaseAfter } from './simulated-database.ts';
import { writeUndoSet } from './undo-set.ts';

/** What `ensureUndo` needs. */
export interface UndoSource extends AllowedPackages {
  service: string;
  dir: string;
  acceptNoUndo: boolean;
  manifests: ManifestStore;
  releases: Releases;
  contents: Contents;
}

/**
 * Makes a rollback from `next` to what is installed now possible, before the switch:
 * - If the installed version has no release, because trigger-deploy did not install it, its .deb becomes a release. The
 *   .deb comes from the bucket if this version was pushed, else from apt.
 * - The packages that `next` moves are kept in the version that they have now: its companions always, dependencies if
 *   the installed version could not run with the new ones. A dependency that serves both stays, because other packages
 *   may use it too.
 * Returns the number of bytes downloaded from the bucket.
 * @throws UNDO_IMPOSSIBLE if a .deb is not available, or if the way back would fail, unless the config has
 *   `acceptNoUndo`; NO_SPACE.
 */
export async function ensureUndo(
  source: UndoSource,
  next: Installation,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const { name } = source;
  const here = await installed(name, { signal });
  const [{ version: becomes }] = next.packages;
  if (here?.version === becomes) return 0;
  try {
    const downloaded = here ? await ensureRelease(source, here, note, signal) : 0;
    await ensureUndoSet(source, here, next, note, signal);
    return downloaded;
  } catch (error) {
    if (!isCode(error, 'UNDO_IMPOSSIBLE') || !source.acceptNoUndo) throw error;
    note(`this deployment cannot be rolled back, and the config accepts that: ${error.message}`);
    return 0;
  }
}

/** Makes the installed version a release, unless it is one. @throws UNDO_IMPOSSIBLE. */
async function ensureRelease(
  source: UndoSource,
  here: Known,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<number> {
  const version = bareVersion(here.version);
  if (await source.releases.record(version)) return 0;
  note(`downloading the .deb of ${source.name} ${here.version}, for a rollback`);
  const pushed = await fromBucket(source, version, note, signal);
  if (typeof pushed === 'number') return pushed;
  const why = await fromApt(source, here, signal);
  if (why === undefined) return 0;
  const message = `${source.name} ${here.version} was installed by other means, and its .deb is not available`;
  throw new TriggerDeployError('UNDO_IMPOSSIBLE', `${message}: this deployment could not be rolled back`, {
    detail: `${pushed}\n${why}`,
    hint: `push its .deb as ${source.service} ${version}, or set \`acceptNoUndo: true\` in the config`,
  });
}

/** Writes the undo set of the installed version. @throws UNDO_IMPOSSIBLE. */
async function ensureUndoSet(
  source: UndoSource,
  here: Known | undefined,
  next: Installation,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const { dir, companions } = source;
  const version = here === undefined ? null : bareVersion(here.version);
  const release = version === null ? undefined : placesOf(dir).release(version);
  const before =
    version === null || release === undefined
      ? []
      : await inspectRelease(release, { ...source, version }, signal);
  const { moved, absent } = await changesOf(source, next, before, signal);
  const own = moved.filter((one) => companions.includes(one.name));
  const others = moved.filter((one) => !own.includes(one));
  await inStaging(
    placesOf(dir),
    async (scratch) => {
      const local = release === undefined ? [] : await dependenciesIn(release, signal);
      let kept = await keep(own, local, join(scratch, 'own'), note, signal);
      if (before.length > 0) {
        const after = await databaseAfter(
          {
            installed: [...next.packages, ...next.beside],
            removed: [...next.remove, ...absent],
          },
          { signal },
          join(scratch, 'database'),
        );
        const unmetNow = await unmetIn(before, [], { signal });
        let problem = await problemOf([...before, ...kept], unmetNow, after);
        if (problem !== undefined && others.length > 0) {
          kept = [...kept, ...(await keep(others, local, join(scratch, 'others'), note, signal))];
          problem = await problemOf([...before, ...kept], unmetNow, after);
        }
        if (problem !== undefined) {
          throw impossible(`the way back to ${source.name} ${here?.version} would fail: ${problem}`);
        }
      }
      await writeUndoSet(dir, version, { files: kept.map(({ file }) => file), absent }, scratch);
    },
    signal,
  );
}

/** The installed packages that `next` replaces or removes, and the companions that it adds. */
async function changesOf(
  { name, companions }: AllowedPackages,
  next: Installation,
  before: readonly DebFile[],
  signal: AbortSignal,
): Promise<{ moved: Known[]; absent: string[] }> {
  const moved: Known[] = [];
  const absent: string[] = [];
  const becomes = new Map([...next.packages, ...next.beside].map((deb) => [deb.name, deb.version]));
  for (const one of [...becomes.keys(), ...next.remove].filter((each) => each !== name)) {
    const here = await installed(one, { signal });
    const inRelease = before.some((deb) => deb.name === one && deb.version === here?.version);
    if (here && here.version !== becomes.get(one) && !inRelease) moved.push(here);
    if (!here && companions.includes(one)) absent.push(one);
  }
  return { moved, absent };
}

/**
 * Copies of the .debs of installed packages: from `local`, the dependencies that the release has, else from apt.
 * @throws UNDO_IMPOSSIBLE.
 */
async function keep(
  packages: readonly Known[],
  local: readonly DebFile[],
  directory: string,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<DebFile[]> {
  if (packages.length === 0) return [];
  await makeNew(directory, 0o700);
  const wanted: string[] = [];
  for (const { name, version } of packages) {
    const here = local.find((deb) => deb.name === name && deb.version === version);
    if (here) await copyFile(here.file, join(directory, basename(here.file)));
    else wanted.push(`${name}=${version}`);
  }
  if (wanted.length > 0) {
    note(`downloading ${wanted.join(', ')}, for a rollback`);
    const fetched = await download(wanted, directory, signal);
    if (typeof fetched === 'string') {
      const message = `the new version replaces ${wanted.join(', ')}, and apt does not have it any more`;
      throw impossible(message, fetched);
    }
  }
  const files = await debsIn(directory);
  return await Promise.all(files.map((file) => inspectDeb(file, 'the .deb from apt', signal)));
}

/** Why `debs` could not be installed over the database `after`; undefined if they could. `unmetNow` is unmet already. */
async function problemOf(
  debs: readonly DebFile[],
  unmetNow: readonly string[],
  after: Database,
): Promise<string | undefined> {
  const known = unmetNow.map(bareRelation);
  const unmet = (await unmetIn(debs, [], after)).filter((text) => !known.includes(bareRelation(text)));
  if (unmet.length > 0) return `it needs ${unmet.join('; ')}`;
  try {
    await assertInstallable(debs, after);
    return undefined;
  } catch (error) {
    if (isCode(error, 'PACKAGE_CONFLICT')) return error.message;
    throw error;
  }
}

function impossible(message: string, detail?: string): TriggerDeployError {
  return new TriggerDeployError('UNDO_IMPOSSIBLE', message, {
    detail,
    hint: 'put the packages into the push as well, or set `acceptNoUndo: true` in the config',
  });
}

/** The number of bytes downloaded; a string, the reason, if the bucket cannot provide the .deb. */
async function fromBucket(
  { service, manifests, releases }: UndoSource,
  version: string,
  note: (text: string) => void,
  signal: AbortSignal,
): Promise<number | string> {
  const never = `${service} ${version} is not in the bucket: it was never pushed`;
  if (!versionName.safeParse(version).success) return never;
  try {
    const artifacts = (await manifests.read(service, version, signal))?.artifacts;
    if (!artifacts) return never;
    return (await releases.prepare({ service, version, artifacts, fresh: false }, note, signal)).downloaded;
  } catch (error) {
    signal.throwIfAborted();
    // AWS may be down, or another package may have this version in the bucket: apt may still have the .deb.
    if (isCode(error)) return error.message;
    throw error;
  }
}

/** Makes the installed version a release from apt's .deb. Returns the reason if apt cannot provide the .deb. */
async function fromApt(
  { name, releases, contents }: UndoSource,
  here: Known,
  signal: AbortSignal,
): Promise<string | undefined> {
  let why: string | undefined;
  try {
    const fill = async ({ release, scratch }: WorkDirectories) => {
      const directory = join(scratch, 'apt');
      await makeNew(directory, 0o700);
      const files = await download([`${name}=${here.version}`], directory, signal);
      if (typeof files === 'string') throw new TriggerDeployError('DOWNLOAD_FAILED', files);
      const [file = ''] = files;
      const deb = await inspectDeb(file, `the .deb of ${name} from apt`, signal);
      if (deb.name !== name || deb.version !== here.version) {
        throw new TriggerDeployError('PACKAGE_INVALID', `apt returned ${deb.name} ${deb.version}`);
      }
      await contents.copy(file, release);
    };
    await releases.add(bareVersion(here.version), fill, signal);
  } catch (error) {
    if (!isCode(error, 'DOWNLOAD_FAILED', 'PACKAGE_INVALID', 'COMMAND_FAILED')) throw error;
    signal.throwIfAborted();
    why = messageOf(error);
  }
  return why;
}
