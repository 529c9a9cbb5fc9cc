import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { type Manifest, type VersionIndex, versionIndex } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import { compareAndSwap } from '../record/compare-and-swap.ts';
import { nonce } from '../record/objects.ts';
import type { Session } from '../session.ts';
import { type Part, uploadPart } from './upload.ts';

/** What is to become a version. */
export interface Publication {
  service: string;
  version: string;
  parts: readonly Part[];
  pushedBy: string;
  /** Whether a version that is there is the one that is meant. */
  isSame: (there: Manifest) => boolean;
}

export interface Published {
  /** False when the version was there. */
  changed: boolean;
  manifest: Manifest;
}

/** The index names this many pushes. */
const INDEXED = 200;
/** Twenty builds that push at once each get their turn. */
const INDEX_ATTEMPTS = 40;

/**
 * Files first, under their digests, then the signed manifest that makes them a version, then the index.
 * Interrupted anywhere, there is no version or one whole version; the same again completes it.
 * @throws VERSION_EXISTS when the version is there and is another.
 */
export async function publish(session: Session, publication: Publication): Promise<Published> {
  const { service, version, parts, pushedBy } = publication;
  const { record, signal } = session;
  // A key that is missing is told before a long upload, not after it.
  const signer = await session.signer();
  const before = await existing(session, service, version);
  if (before) refuseOther(before, publication);
  // Also of a version that exists: what was deleted from the bucket is there again.
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
    nonce: nonce(),
  };
  const text = await signer.sign('td-manifest+jws', manifest);
  try {
    await record.objects.putNew(keys.manifest(service, version), text);
  } catch (error) {
    if (!isCode(error, 'CONDITION_FAILED')) throw error;
    // Someone was faster while the files went up.
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
    `${service} ${version} exists with other bytes: ${pushedBy} pushed it at ${pushedAt}`,
    { hint: 'a version never changes: choose another one, or deploy what is there' },
  );
}

/** Under the name that the same bytes have in the version that is there. */
function named(part: Part, there: Manifest | undefined): Part {
  const { role, sha256 } = part.artifact;
  const same = there?.artifacts.find((one) => one.role === role && one.sha256 === sha256);
  return same ? { ...part, artifact: same } : part;
}

async function alreadyThere(session: Session, there: Manifest): Promise<Published> {
  // One that died between the manifest and the index is completed by the next.
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

/** Puts the push where `latest` and "the newest are …" look, unless it is there. */
async function index(session: Session, manifest: Manifest): Promise<void> {
  const { record, clock } = session;
  // The version exists now, so an interrupt does not stop this: `latest` must follow.
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

/** The index is a convenience: one that cannot be read is begun anew. */
function pushesIn(text: string): VersionIndex['pushes'] {
  try {
    return versionIndex.parse(JSON.parse(text)).pushes;
  } catch {
    return [];
  }
}

function notListed({ service, version }: Manifest, cause: unknown): TriggerDeployError {
  const code = isCode(cause) ? cause.code : 'INTERNAL';
  return new TriggerDeployError(code, `${service} ${version} is pushed, but the index does not name it yet`, {
    cause,
    hint: 'push the same files again: that only completes the index; until then `latest` is an older version',
  });
}
