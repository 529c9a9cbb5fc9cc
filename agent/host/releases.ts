import { readdir, readlink, rename, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { TriggerDeployError } from '../../shared/errors.ts';
import { type Artifact, sameArtifacts } from '../../shared/manifest.ts';
import { versionName } from '../../shared/names.ts';
import type { PackageType } from '../deploy/ports.ts';
import { fsyncDirectory, ignoring, lstatIfAny, makeNew, pointAt, removeTree, settleTree } from './files.ts';
import { namesInUse } from './in-use.ts';
import { type ReleaseRecord, readRecord, writeRecord } from './release-record.ts';
import { asNoSpace, assertSpace, type Space } from './space.ts';
import { inStaging, type Places, placesOf } from './staging.ts';

/**
 * What jar and archive share: complete releases in `DIR/releases/VERSION`, one of them `DIR/current`, each
 * made in `DIR/.staging` and published by a rename. They differ in what fills a release: `Contents`.
 */

export interface Job {
  order: Parameters<PackageType['prepare']>[0];
  note: (text: string) => void;
  signal: AbortSignal;
}

/** Two empty directories in the staging: the release to be, and room beside it. */
export interface Workplace {
  release: string;
  scratch: string;
}

export interface Contents {
  readonly type: string;
  /** @throws PACKAGE_INVALID for artifacts it can do nothing with, before anything is downloaded. */
  accept(artifacts: readonly Artifact[]): void;
  /** What the signed sizes say will be needed at least. */
  needs(artifacts: readonly Artifact[]): Space;
  /** Downloads and lays out the release; how many bytes were downloaded. */
  fill(into: Workplace, job: Job): Promise<number>;
  /**
   * Compares the release in `place`, which cannot be replaced, with what the job announces.
   * @throws ARTIFACT_DIGEST_MISMATCH.
   */
  verify(place: string, into: Workplace, job: Job): Promise<number>;
  /** The space that `copy` needs. @throws PACKAGE_INVALID for what it cannot make a release of. */
  measure(path: string): Promise<Space>;
  /** Lays out what ran before trigger-deploy as a release. */
  copy(path: string, release: string): Promise<void>;
}

export interface ReleaseOptions {
  /** The service's directory. */
  dir: string;
  /** How many releases to keep; never less than 3. */
  keep: number;
  adopt?: { path: string; version: string } | undefined;
}

/** A JVM whose jar is removed dies late: the newest stay in any case. */
const KEPT_AT_LEAST = 3;

export function createReleases({ dir, keep, adopt }: ReleaseOptions, contents: Contents): PackageType {
  const places = placesOf(dir);

  async function records(): Promise<ReleaseRecord[]> {
    const names = await readdir(places.releases).catch(ignoring('ENOENT', [] as string[]));
    const found = await Promise.all(names.map((name) => recordOf(places, name)));
    return found.filter((record) => record !== undefined);
  }

  /** Whether something runs from it, or is about to. */
  async function isStanding(version: string): Promise<boolean> {
    if ((await currentOf(places)) === version) return true;
    return (await namesInUse(places.releases)).has(version);
  }

  /** What is to be done for the release to be there. @throws RELEASE_CONFLICT when another one is. */
  async function dutyOf({ order }: Job): Promise<'nothing' | 'verify' | 'make'> {
    const { version } = order;
    const place = places.release(version);
    const existing = await recordOf(places, version);
    if (!existing) return (await lstatIfAny(place)) && (await isStanding(version)) ? 'verify' : 'make';
    if (!sameArtifacts(existing.artifacts, order.artifacts)) {
      // An adopted release has no digests to compare: the announced one takes its place, unless it is in use.
      if (existing.artifacts.length === 0 && !(await isStanding(version))) return 'make';
      throw new TriggerDeployError('RELEASE_CONFLICT', `${place} holds another ${version} than announced`, {
        hint: `a version never changes: push under a new one, or remove ${place}`,
      });
    }
    if (!order.fresh) return 'nothing';
    // Nothing may be replaced under a process: what stands is looked at again instead.
    return (await isStanding(version)) ? 'verify' : 'make';
  }

  async function fulfil(duty: 'verify' | 'make', staging: string, job: Job): Promise<number> {
    const { version, service, artifacts } = job.order;
    await assertSpace(dir, contents.needs(artifacts), `${service} ${version}`);
    const into = { release: join(staging, 'release'), scratch: join(staging, 'scratch') };
    await makeNew(into.release, 0o755);
    await makeNew(into.scratch, 0o700);
    if (duty === 'verify') {
      const downloaded = await contents.verify(places.release(version), into, job);
      // Its record may be what was damaged; its files are known to be right now.
      if (!(await recordOf(places, version))) {
        await writeRecord(places.release(version), newRecord(version, artifacts));
      }
      return downloaded;
    }
    const downloaded = await contents.fill(into, job);
    job.signal.throwIfAborted();
    await publish(places, staging, newRecord(version, artifacts));
    return downloaded;
  }

  return {
    type: contents.type,

    releases: records,

    current: () => currentOf(places),

    async adopt() {
      if (!adopt || (await lstatIfAny(places.current))) return null;
      const complete = (await recordOf(places, adopt.version)) !== undefined;
      if (!complete && !(await stat(adopt.path).catch(ignoring('ENOENT', undefined)))) return null;
      return givingSpaceErrors(dir, async () => {
        if (!complete) {
          await inStaging(places, async (staging) => {
            const release = join(staging, 'release');
            await assertSpace(dir, await contents.measure(adopt.path), `adopting ${adopt.path}`);
            await makeNew(release, 0o755);
            await contents.copy(adopt.path, release);
            await publish(places, staging, newRecord(adopt.version, []));
          });
        }
        await pointCurrent(places, adopt.version);
        return adopt.version;
      });
    },

    async prepare(order, note, signal) {
      signal.throwIfAborted();
      contents.accept(order.artifacts);
      return givingSpaceErrors(dir, () =>
        inStaging(places, async (staging) => {
          const job = { order, note, signal };
          const duty = await dutyOf(job);
          // What is here may have been published by an agent that was killed before it synced that.
          if (duty !== 'make') await fsyncDirectory(places.releases);
          return { downloaded: duty === 'nothing' ? 0 : await fulfil(duty, staging, job) };
        }),
      );
    },

    async switchTo(version) {
      await givingSpaceErrors(dir, () =>
        version === null ? removeCurrent(places) : pointCurrent(places, version),
      );
    },

    async prune(precious) {
      const newestFirst = (await records()).sort((a, b) => (a.preparedAt < b.preparedAt ? 1 : -1));
      const old = newestFirst
        .slice(Math.max(keep, KEPT_AT_LEAST))
        .map(({ version }) => version)
        .filter((version) => !precious.has(version));
      // Also with nothing to remove: an agent that was killed may have left something in the staging.
      if (old.length === 0 && !(await lstatIfAny(places.staging))) return [];
      const current = await currentOf(places);
      const used = old.length === 0 ? new Set<string>() : await namesInUse(places.releases);
      const removable = old.filter((version) => version !== current && !used.has(version));
      await inStaging(places, async (staging) => {
        for (const version of removable) {
          // Out of sight in one step: no half-removed release is ever seen as one.
          const aside = join(staging, version);
          await rename(places.release(version), aside);
          await fsyncDirectory(places.releases);
          await removeTree(aside);
        }
      });
      return removable;
    },
  };
}

function newRecord(version: string, artifacts: readonly Artifact[]): ReleaseRecord {
  return { v: 1, version, artifacts: [...artifacts], preparedAt: new Date().toISOString() };
}

async function recordOf(places: Places, version: string): Promise<ReleaseRecord | undefined> {
  if (!versionName.safeParse(version).success) return undefined;
  const directory = await lstatIfAny(places.release(version));
  return directory?.isDirectory() ? readRecord(places.release(version), version) : undefined;
}

/** @throws RELEASE_CONFLICT when `current` is there and is not a link to one of these releases. */
async function currentOf({ dir, current, releases }: Places): Promise<string | null> {
  const link = await lstatIfAny(current);
  if (!link) return null;
  const target = link.isSymbolicLink() ? await readlink(current) : undefined;
  const path = target === undefined ? current : resolve(dir, target);
  const version = path.slice(releases.length + 1);
  if (dirname(path) === releases && versionName.safeParse(version).success) return version;
  const what = target === undefined ? 'is not a symbolic link' : `points at ${target}`;
  throw new TriggerDeployError('RELEASE_CONFLICT', `${current} ${what}, not at a release in ${releases}`, {
    hint: 'move it away; `adopt` in the config can make a release of what runs',
  });
}

/** Synced also where there is nothing to remove: a removal that was cut short may not be on disk. */
async function removeCurrent(places: Places): Promise<void> {
  if ((await currentOf(places)) !== null) await rm(places.current);
  await fsyncDirectory(places.dir).catch(ignoring('ENOENT', undefined));
}

async function pointCurrent(places: Places, version: string): Promise<void> {
  const current = await currentOf(places);
  if (!(await recordOf(places, version))) {
    throw new TriggerDeployError(
      'RELEASE_INCOMPLETE',
      `${places.release(version)} is missing or not complete: current stays where it is`,
    );
  }
  // What is named is on disk before its name is: an agent that was killed may have published it and not synced.
  await fsyncDirectory(places.releases);
  // No new link where it points there already, for a full disk may have no room for one: a rollback that finds
  // the old release still current must not fail by that.
  if (current === version) await fsyncDirectory(places.dir);
  else await pointAt(places.current, join('releases', version));
}

/** The staged release is on disk, then complete, then in its place. */
async function publish(places: Places, staging: string, record: ReleaseRecord): Promise<void> {
  const staged = join(staging, 'release');
  const place = places.release(record.version);
  await settleTree(staged);
  await writeRecord(staged, record);
  if (await lstatIfAny(place)) await rename(place, join(staging, 'replaced'));
  await rename(staged, place);
  await fsyncDirectory(places.releases);
}

async function givingSpaceErrors<T>(dir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asNoSpace(error, dir);
  }
}
