import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { asTriggerDeployError, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { type Artifact, sameArtifacts } from '../../../shared/manifest.ts';
import type { PackageType } from '../../deploy/ports.ts';
import { fsyncDirectory, ignoreCode, lstatIfAny, makeNew } from '../fs/durable-files.ts';
import { asNoSpace, assertSpace, type Space, withSpace } from '../fs/space.ts';
import { type Adopted, adoptionOf } from './adoption.ts';
import { configGroupOf } from './config-access.ts';
import {
  readCurrentLink,
  removeCurrentLink,
  setCurrentLink,
  takeOverCurrent,
  wayBackProblem,
} from './current-link.ts';
import { namesWithOpenFiles } from './open-files.ts';
import { assertOwned } from './ownership.ts';
import { pruneReleases } from './prune.ts';
import { newRecord, publish } from './publish.ts';
import { type ReleaseRecord, recordOf, writeRecord } from './release-record.ts';
import { lookAtReleases } from './shown-releases.ts';
import { assertWritable, inStaging, placesOf } from './staging.ts';
import { syncRelease } from './sync-release.ts';
import { damageOf, shapeOf } from './wholeness.ts';

/**
 * What all package types share. Complete releases are in `DIR/releases/VERSION`; each is made in `DIR/.staging` and
 * published by a rename. `DIR/current` is a link to one of them (a deb has no such link). A package type differs from
 * the others in its `Contents`.
 */

/** The arguments of one call of `prepare`. */
export interface PrepareJob {
  order: Parameters<PackageType['prepare']>[0];
  /** The id of the group that may read config files. */
  configGroup: number | undefined;
  note: (text: string) => void;
  signal: AbortSignal;
}

/** Two empty directories in the staging directory: the future release, and a scratch directory. */
export interface WorkDirectories {
  release: string;
  scratch: string;
}

/** What a package type knows about the contents of its releases. */
export interface Contents {
  readonly type: string;
  /** Checks the artifacts before the download. @throws PACKAGE_INVALID if this package type cannot deploy them. */
  accept(artifacts: readonly Artifact[]): void;
  /** The least space that the release needs, computed from the signed sizes. */
  needs(artifacts: readonly Artifact[]): Space;
  /** Downloads the artifacts and fills the release; returns the number of bytes downloaded. */
  fill(into: WorkDirectories, job: PrepareJob): Promise<number>;
  /**
   * Compares the release in `place` with the order; it is in use, so it cannot be replaced. Returns the number of bytes
   * downloaded. @throws ARTIFACT_DIGEST_MISMATCH.
   */
  verify(place: string, into: WorkDirectories, job: PrepareJob): Promise<number>;
  /** The space that `copy` needs. @throws PACKAGE_INVALID if `path` cannot become a release. */
  measure(path: string): Promise<Space>;
  /** Where the adopted file or directory is in its release. */
  ownPath(release: string): string;
  /** Copies `path`, which trigger-deploy did not deploy, into a release. */
  copy(path: string, release: string): Promise<void>;
}

export interface ReleaseOptions {
  /** The service's directory. */
  dir: string;
  /** How many releases to keep; at least 3 are kept, whatever the value. */
  keep: number;
  /** The user who runs the service, as far as the config names it: must own none of the directories. */
  serviceUser?: string | undefined;
  /** The group that may read the config files of releases; none if it is left out. */
  group?: string | undefined;
  adopt?: Adopted | undefined;
  /** Deploy although what is current is no complete release, so that there is no way back to it. */
  acceptNoUndo?: boolean;
  /** The number of entries from which a release is synced with its file system: for tests. */
  syncFrom?: number | undefined;
}

export interface Releases extends PackageType {
  /** Only points the link at the release, so it needs no `Change`. */
  switchTo(version: string | null): Promise<void>;
  /** The record of a release; undefined if the release is missing or incomplete. */
  record(version: string): Promise<ReleaseRecord | undefined>;
  /** Makes a release that was not announced: `fill` provides its files. */
  add(version: string, fill: (into: WorkDirectories) => Promise<void>, signal: AbortSignal): Promise<void>;
}

/** For the database of groups, which `check` asks. */
const LOOKUP_MS = 10_000;

export function createReleases(
  { dir, keep, serviceUser, group, adopt, acceptNoUndo = false, syncFrom }: ReleaseOptions,
  contents: Contents,
): Releases {
  const places = placesOf(dir);

  const assertOwn = () => assertOwned(dir, serviceUser);

  async function records(): Promise<ReleaseRecord[]> {
    const names = await readdir(places.releases).catch(ignoreCode('ENOENT', [] as string[]));
    const found = await Promise.all(names.map((name) => recordOf(places, name)));
    return found.filter((record) => record !== undefined);
  }

  async function blockingProblem(next?: string): Promise<TriggerDeployError | undefined> {
    const problem = await wayBackProblem(places, next);
    return acceptNoUndo && problem?.code === 'UNDO_IMPOSSIBLE' ? undefined : problem;
  }

  /** Whether the release is current, or a process uses its files. */
  async function isInUse(version: string): Promise<boolean> {
    if ((await readCurrentLink(places)) === version) return true;
    return (await namesWithOpenFiles(places.releases)).has(version);
  }

  /** The work that `prepare` has to do. @throws RELEASE_CONFLICT when a different release has this version. */
  async function requiredWork({ order }: PrepareJob): Promise<'nothing' | 'verify' | 'make'> {
    const { version } = order;
    const place = places.release(version);
    const existing = await recordOf(places, version);
    if (!existing) return (await lstatIfAny(place)) && (await isInUse(version)) ? 'verify' : 'make';
    if (!sameArtifacts(existing.artifacts, order.artifacts)) {
      // An adopted release has no digests to compare: the announced release replaces it, unless it is in use.
      if (existing.artifacts.length === 0 && !(await isInUse(version))) return 'make';
      throw new TriggerDeployError('RELEASE_CONFLICT', `${place} differs from the announced ${version}`, {
        hint: `a version must not change: push a new version, or remove ${place}`,
      });
    }
    const damage = await damageOf(place, existing);
    // A process that uses a damaged release keeps the files that it has open.
    if (damage !== undefined && order.artifacts.length > 0) return 'make';
    if (damage !== undefined) throw new TriggerDeployError('RELEASE_INCOMPLETE', `${place} ${damage}`);
    if (!order.fresh) return 'nothing';
    // Files that a process uses must not be replaced: they are verified instead.
    return (await isInUse(version)) ? 'verify' : 'make';
  }

  async function recordAnew(version: string, artifacts: readonly Artifact[]): Promise<void> {
    const place = places.release(version);
    await writeRecord(place, { ...newRecord(version, artifacts), shape: await shapeOf(place) });
  }

  async function doWork(duty: 'verify' | 'make', staging: string, job: PrepareJob): Promise<number> {
    const { version, service, artifacts } = job.order;
    await assertSpace(dir, contents.needs(artifacts), `${service} ${version}`, job.signal);
    const into = await makeWorkDirectories(staging);
    if (duty === 'verify') {
      const downloaded = await contents.verify(places.release(version), into, job);
      // The files are correct, as `verify` has shown, but the release's record may be damaged.
      if (!(await recordOf(places, version))) {
        await recordAnew(version, artifacts);
      }
      return downloaded;
    }
    const downloaded = await contents.fill(into, job);
    job.signal.throwIfAborted();
    await publish(places, staging, newRecord(version, artifacts), { signal: job.signal, syncFrom });
    return downloaded;
  }

  const add: Releases['add'] = (version, fill, signal) =>
    inStaging(
      places,
      async (staging) => {
        await fill(await makeWorkDirectories(staging));
        await publish(places, staging, newRecord(version, []), { signal, syncFrom });
      },
      signal,
    );

  return {
    type: contents.type,

    installsUnit: false,

    checkHost: async () => [],

    async inspect() {
      try {
        await configGroupOf(group, AbortSignal.timeout(LOOKUP_MS));
        await assertWritable(places);
        const adoption = adopt && (await adoptionOf(places, adopt, contents.ownPath));
        if (adopt && adoption?.work === 'copy') await contents.measure(adopt.path);
        const problem = adoption ? undefined : await blockingProblem();
        return problem ? [{ ok: false, what: problem.message, hint: problem.hint }] : [];
      } catch (error) {
        return [{ ok: false, what: messageOf(error), hint: asTriggerDeployError(error).hint }];
      }
    },

    versionOf: async () => undefined,

    releases: records,

    record: (version) => recordOf(places, version),

    current: () => readCurrentLink(places),

    async isWhole() {
      const version = await readCurrentLink(places);
      const record = version === null ? undefined : await recordOf(places, version);
      return !record || (await damageOf(places.release(record.version), record)) === undefined;
    },

    add: (version, fill, signal) => withSpace(dir, () => add(version, fill, signal), signal),

    async adopt(signal) {
      if (adopt) await assertOwn();
      const adoption = adopt && (await adoptionOf(places, adopt, contents.ownPath));
      if (!adopt || !adoption) return null;
      const { path, version } = adopt;
      const work = async () => {
        if (adoption.work === 'copy') {
          const copy = async ({ release }: WorkDirectories) => {
            await assertSpace(dir, await contents.measure(path), `adopting ${path}`, signal);
            await contents.copy(path, release);
          };
          await add(version, copy, signal);
        } else if (adoption.work === 'record') {
          await syncRelease(places.release(version), signal, { wholeFrom: syncFrom });
          await recordAnew(version, []);
        }
        await takeOverCurrent(places, version, signal);
        return version;
      };
      return withSpace(dir, work, signal);
    },

    async prepare(order, note, signal) {
      signal.throwIfAborted();
      contents.accept(order.artifacts);
      await assertOwn();
      const configGroup = await configGroupOf(group, signal);
      const problem = await blockingProblem(order.version);
      if (problem) throw problem;
      const work = async (staging: string) => {
        const job = { order, configGroup, note, signal };
        const duty = await requiredWork(job);
        // An agent that was killed may have published the release without a sync.
        if (duty !== 'make') await fsyncDirectory(places.releases);
        return { downloaded: duty === 'nothing' ? 0 : await doWork(duty, staging, job) };
      };
      return withSpace(dir, () => inStaging(places, work, signal), signal);
    },

    async switchTo(version) {
      await assertOwn();
      try {
        await (version === null ? removeCurrentLink(places) : setCurrentLink(places, version));
      } catch (error) {
        throw asNoSpace(error, dir);
      }
    },

    look: (version, processes, before) => lookAtReleases(places, adopt, version, processes, before),

    async prune(protectedVersions, signal) {
      await assertOwn();
      return await pruneReleases(places, await records(), { keep, protectedVersions, signal });
    },
  };
}

async function makeWorkDirectories(staging: string): Promise<WorkDirectories> {
  const into = { release: join(staging, 'release'), scratch: join(staging, 'scratch') };
  await makeNew(into.release, 0o755);
  await makeNew(into.scratch, 0o700);
  return into;
}
