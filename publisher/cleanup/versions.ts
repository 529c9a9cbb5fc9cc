import { isCode } from '../../shared/errors.ts';
import { keys, newUlid, versionName } from '../../shared/names.ts';
import { note } from '../events.ts';
import { oldVersions, type Retention } from '../plan/retention.ts';
import type { Lock } from '../record/held-lock.ts';
import { mapLimit } from '../record/map-limit.ts';
import { openRecord } from '../record/record.ts';
import type { Session } from '../session.ts';
import type { Cleaner } from './aws-cleaner.ts';
import { collect, type GcContext, keep } from './finding.ts';
import { forgetInIndex } from './version-index.ts';
import { environmentsIn, readWanted } from './wanted.ts';

/**
 * Deletes versions beyond the retention. First goes the manifest: then the version does not exist any more, and whatever a
 * killed `gc` leaves is files that belong to no version. Manifests are deleted under the locks of all environments that share the
 * bucket, and what is wanted is read again under them: a deployment either sees the version, or refuses it.
 */

const READS = 16;
const DELETES = 8;
/** Files without a manifest are those of a push that goes on, until they are so old, ms. */
const LEFTOVER_MS = 24 * 3_600_000;
/** How many versions are deleted under one lock: a deployment that comes meanwhile is refused, so it is held for seconds. */
const AT_A_TIME = 50;

interface StoredVersion {
  version: string;
  files: { key: string; size: number }[];
  /** The manifest; undefined when there is none. */
  manifest: { key: string; etag: string } | undefined;
  /** The last write of any of its objects, ms since the epoch by S3's clock. */
  written: number;
  /** When it was pushed by its signed manifest, ms since the epoch; 0 when unknown. A copy of a bucket keeps it. */
  pushed: number;
  /** When it was pushed, and not before the manifest was written, ms since the epoch. */
  at: number;
}

export async function cleanVersions(
  context: GcContext,
  cleaner: Cleaner,
  service: string,
  { retention, running }: { retention: Retention; running: ReadonlySet<string> },
): Promise<void> {
  const { session } = context;
  const all = await listVersions(session, service);
  const dated = await withTimes(
    context,
    service,
    all.filter(({ manifest }) => manifest !== undefined),
  );
  const now = session.clock.now();
  const old = oldVersions(
    dated.sort((a, b) => b.pushed - a.pushed),
    retention,
    now,
  );
  const leftovers = all.filter(({ manifest, written }) => !manifest && now - written >= LEFTOVER_MS);
  if (old.length === 0 && leftovers.length === 0) return;
  const environments = await environmentsIn(session);
  const wanted = await readWanted(session, service, { environments, running });
  const about = ({ version, files, at }: StoredVersion, why: string) => ({
    ...{ kind: 'versions' as const, name: `${service} ${version}`, why, ageMs: now - at },
    ...{ objects: files.length, bytes: files.reduce((sum, { size }) => sum + size, 0) },
  });
  const free = (one: StoredVersion) => {
    const why = wanted.get(one.version);
    if (why !== undefined) keep(context, about(one, `it ${why}`));
    return why === undefined;
  };
  const doomed = old.filter(free);
  if (!context.deletes) {
    for (const one of doomed)
      await collect(context, about(one, 'it is beyond the retention'), async () => undefined);
  } else {
    for (let at = 0; at < doomed.length; at += AT_A_TIME) {
      const some = doomed.slice(at, at + AT_A_TIME);
      const kept = await deleteManifests(context, cleaner, { service, running, some });
      for (const one of some) {
        const why = kept.get(one.version);
        if (why !== undefined) keep(context, about(one, why));
        else
          await collect(context, about(one, 'it is beyond the retention'), () =>
            deleteFiles(session, cleaner, one),
          );
      }
      await forgetInIndex(session, service, new Set(some.map(({ version }) => version)));
    }
  }
  for (const one of leftovers.filter(free)) {
    const why = 'its files belong to no version: a push or a gc was killed';
    await collect(context, about(one, why), async () => {
      const manifest = keys.manifest(service, one.version);
      if (await session.record.objects.exists(manifest)) return 'it was pushed meanwhile';
      return await deleteFiles(session, cleaner, one);
    });
  }
}

/** Deletes the manifests of `some` under the locks; returns why those that it keeps are kept. */
async function deleteManifests(
  { session }: GcContext,
  cleaner: Cleaner,
  what: {
    service: string;
    running: ReadonlySet<string>;
    some: readonly StoredVersion[];
  },
): Promise<Map<string, string>> {
  const { service, some } = what;
  const locks: Lock[] = [];
  const environments = new Set<string>();
  try {
    try {
      // Until there is none that began meanwhile.
      for (let more = await environmentsIn(session); more.length > 0; ) {
        for (const env of more) {
          environments.add(env);
          const lock = await lockOf(session, env, service);
          if (lock !== undefined) locks.push(lock);
        }
        more = (await environmentsIn(session)).filter((env) => !environments.has(env));
      }
    } catch (error) {
      if (!isCode(error, 'LOCKED', 'RECORD_DAMAGED')) throw error;
      return new Map(some.map(({ version }) => [version, `${error.message}: run gc again later`]));
    }
    const wanted = await readWanted(session, service, { ...what, environments: [...environments] });
    const kept = new Map<string, string>();
    await mapLimit(some, DELETES, async ({ version, manifest }) => {
      for (const { lost } of locks) lost.throwIfAborted();
      const why = wanted.get(version);
      if (why !== undefined) kept.set(version, `it ${why}`);
      else if (manifest && !(await cleaner.deleteObject(manifest.key, manifest.etag)))
        kept.set(version, 'its manifest was changed meanwhile');
    });
    return kept;
  } finally {
    await Promise.all(locks.map((lock) => lock.release()));
  }
}

/** The lock of the service in the environment; undefined where it was never deployed. @throws LOCKED. */
async function lockOf(session: Session, env: string, service: string): Promise<Lock | undefined> {
  const { record, aws, clock, who, origin, signer, verifier, signal } = session;
  if (!(await record.objects.exists(keys.lock(env, service)))) return undefined;
  const warn = (text: string) => note(session, text, 'warning');
  const { locks } =
    env === session.env.name
      ? record
      : openRecord({
          env: { name: env, bucket: session.env.bucket },
          ...{ aws, clock, who, origin, signer, verifier, warn },
        });
  return await locks.take({ service, command: 'gc', deployment: newUlid(clock.now()), signal });
}

/** Deletes the files of a version that has no manifest; says why not, if it has one again. */
async function deleteFiles(
  { record }: Session,
  cleaner: Cleaner,
  { files, manifest, version }: StoredVersion,
): Promise<string | undefined> {
  await mapLimit(
    files.filter(({ key }) => key !== manifest?.key),
    DELETES,
    ({ key }) => cleaner.deleteObject(key),
  );
  const key = files[0]?.key.replace(/^(artifacts\/[^/]+\/[^/]+\/).*/, '$1manifest.jws');
  if (key === undefined || !(await record.objects.exists(key))) return undefined;
  return `${version} was pushed again while its files were deleted: push it once more`;
}

/** The versions of a service with their objects; what is below no name of a version is left out. */
async function listVersions({ record }: Session, service: string): Promise<StoredVersion[]> {
  const prefix = keys.artifacts(service);
  const byVersion = Map.groupBy(
    await record.objects.list(prefix),
    ({ key }) => key.slice(prefix.length).split('/')[0],
  );
  return [...byVersion].flatMap(([version = '', objects]) => {
    const isOfVersion = objects.every(({ key }) => key.startsWith(`${prefix}${version}/`));
    if (!isOfVersion || !versionName.safeParse(version).success) return [];
    const manifest = objects.find(({ key }) => key === keys.manifest(service, version));
    const written = Math.max(...objects.map(({ lastModified }) => lastModified));
    return { version, files: objects, manifest, written, pushed: 0, at: manifest?.lastModified ?? written };
  });
}

/** The versions whose manifests verify, with the time of the push; the others are kept, and named. */
async function withTimes(
  context: GcContext,
  service: string,
  versions: readonly StoredVersion[],
): Promise<StoredVersion[]> {
  const { record } = context.session;
  const found = await mapLimit(versions, READS, async (one) => {
    try {
      const { pushedAt } = await record.versions.readManifest(service, one.version);
      const pushed = Date.parse(pushedAt);
      return { ...one, pushed, at: Math.max(one.at, pushed) };
    } catch (error) {
      if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'VERSION_NOT_FOUND')) throw error;
      keep(context, { kind: 'versions', name: `${service} ${one.version}`, why: error.message });
      return undefined;
    }
  });
  return found.filter((one) => one !== undefined);
}
