import { parseBoundedJson } from '../../shared/bounded-json.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { buildAddress, type Manifest, type VersionIndex, versionIndex } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { compareAndSwap } from '../record/compare-and-swap.ts';
import { nonce } from '../record/objects.ts';
import type { Session } from '../session.ts';
import { type Part, uploadPart } from './upload.ts';

/** The files and metadata of a new version. */
export interface Publication {
  service: string;
  version: string;
  parts: readonly Part[];
  pushedBy: string;
  /** The address of the CI build; left out of the manifest unless it is one of the web. */
  build?: string | undefined;
  /** Whether an existing version has the same files. */
  isSame: (there: Manifest) => boolean;
}

export interface Published {
  /** False when the version existed already. */
  changed: boolean;
  manifest: Manifest;
}

/** How many pushes the index holds. */
const INDEXED = 200;
/** How often a write of the index is tried: enough for twenty builds that push at the same time. */
const INDEX_ATTEMPTS = 40;

/**
 * Uploads the files (each key contains the sha256), then the signed manifest that makes them a version, then the index.
 * After an interruption the version does not exist, or it is complete; the same push can be run again.
 * @throws VERSION_EXISTS when the version exists with different files.
 */
export async function publish(session: Session, publication: Publication): Promise<Published> {
  const { service, version, parts, pushedBy } = publication;
  const build = buildAddress.parse(publication.build);
  const { record, signal } = session;
  // A missing key is reported before a long upload.
  const signer = await session.signer();
  const before = await existing(session, service, version);
  if (before) refuseOther(before, publication);
  // Also for an existing version: files deleted from the bucket are uploaded again.
  for (const part of parts) await upload(session, publication, named(part, before));
  if (before) return await alreadyThere(session, before);
  signal.throwIfAborted();
  const manifest: Manifest = {
    v: 1,
    service,
    version,
    artifacts: parts.map((part) => part.artifact),
    pushedAt: new Date(session.clock.now()).toISOString(),
    pushedBy: pushedBy.slice(0, 256),
    ...(build !== undefined && { build }),
    nonce: nonce(),
  };
  const text = await signer.sign('td-manifest+jws', manifest);
  try {
    await record.objects.putNew(keys.manifest(service, version), text);
  } catch (error) {
    if (!isCode(error, 'CONDITION_FAILED')) throw error;
    // Another publisher pushed this version during the upload.
    const winner = await record.versions.readManifest(service, version);
    refuseOther(winner, publication);
    return await alreadyThere(session, winner);
  }
  await index(session, manifest);
  return { changed: true, manifest };
}

async function existing(session: Session, service: string, version: string): Promise<Manifest | undefined> {
  const { objects, versions } = session.record;
  if (!(await objects.exists(keys.manifest(service, version)))) return undefined;
  return await versions.readManifest(service, version);
}

function refuseOther(there: Manifest, { isSame }: Publication): void {
  if (isSame(there)) return;
  const { service, version, pushedBy, pushedAt } = there;
  throw new TriggerDeployError(
    'VERSION_EXISTS',
    `${service} ${version} exists with different files: ${pushedBy} pushed it at ${pushedAt}`,
    { hint: 'a version never changes: choose another version, or deploy the existing one' },
  );
}

/** The part with the name that the same file has in the existing version. */
function named(part: Part, there: Manifest | undefined): Part {
  const { role, sha256, name } = part.artifact;
  const alike = there?.artifacts.filter((one) => one.role === role && one.sha256 === sha256) ?? [];
  const same = alike.find((one) => one.name === name) ?? alike[0];
  return same ? { ...part, artifact: same } : part;
}

async function alreadyThere(session: Session, there: Manifest): Promise<Published> {
  // If an earlier push stopped between the manifest and the index, this completes it.
  await index(session, there);
  return { changed: false, manifest: there };
}

async function upload(session: Session, { service, version }: Publication, part: Part): Promise<void> {
  const { name, sha256, size } = part.artifact;
  const progress = (done: number) =>
    session.emit({ type: 'progress', at: session.clock.now(), what: name, done, total: size });
  progress(0);
  await uploadPart({
    s3: session.aws.s3,
    bucket: session.env.bucket,
    key: keys.artifact(service, version, sha256, name),
    part,
    signal: session.signal,
    progress,
  });
}

/** Adds the push to the index, unless the index has it already. `latest` reads the index. */
async function index(session: Session, manifest: Manifest): Promise<void> {
  const { record, clock } = session;
  // An interrupt does not stop this: the version exists now, so `latest` must find it.
  const { version, pushedAt, pushedBy } = manifest;
  const key = keys.index(manifest.service);
  try {
    await compareAndSwap(record.objects, {
      key,
      read: () => record.objects.read(key),
      next(stored) {
        const pushes = stored ? pushesIn(stored.text) : [];
        if (pushes.some((one) => one.version === version)) return { value: undefined };
        const index: VersionIndex = {
          v: 1,
          nonce: nonce(),
          pushes: [{ version, pushedAt, pushedBy }, ...pushes]
            .sort((a, b) => Date.parse(b.pushedAt) - Date.parse(a.pushedAt))
            .slice(0, INDEXED),
        };
        return { body: JSON.stringify(index), value: undefined };
      },
      attempts: INDEX_ATTEMPTS,
      backoff: { first: 20, longest: 500, clock },
    });
  } catch (error) {
    throw notListed(manifest, error);
  }
}

/** The index is a cache: an unreadable one is replaced. */
function pushesIn(text: string): VersionIndex['pushes'] {
  try {
    return versionIndex.parse(parseBoundedJson(text)).pushes;
  } catch {
    return [];
  }
}

function notListed({ service, version }: Manifest, cause: unknown): TriggerDeployError {
  const code = isCode(cause) ? cause.code : 'INTERNAL';
  return new TriggerDeployError(code, `${service} ${version} is pushed, but is not in the index yet`, {
    cause,
    hint: 'push the same files again to complete the index; until then `latest` is an older version',
  });
}
