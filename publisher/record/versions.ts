import { cleanLine } from '../../shared/clean-text.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { type Manifest, manifest, type VersionIndex, versionIndex } from '../../shared/manifest.ts';
import { keys, versionName } from '../../shared/names.ts';
import type { Verifier } from '../../shared/signing.ts';
import { mapLimit } from './map-limit.ts';
import type { Objects } from './objects.ts';
import { verifyStored } from './signed-document.ts';

export interface Versions {
  /**
   * Reads and verifies the manifest of a version. @throws VERSION_NOT_FOUND with the newest versions in the hint;
   * SERVICE_NOT_FOUND; SIGNATURE_INVALID; DOCUMENT_INVALID.
   */
  readManifest(service: string, version: string): Promise<Manifest>;
  /**
   * The manifest of `version`, where `latest` is the newest push by the signed times in the manifests.
   * @throws as `readManifest`.
   */
  resolve(service: string, version: string): Promise<Manifest>;
  /** All versions that have a manifest; no signature is checked. */
  all(service: string): Promise<string[]>;
  /**
   * The pushes, the newest first, `limit` at most. From the index, which is not signed: who and when is only what
   * somebody wrote there, cleaned. The manifest of each version says it for certain.
   */
  pushes(service: string, limit: number): Promise<IndexedPush[]>;
  /** The pushed versions, the newest push first, `limit` at most. From the index, which is not signed. */
  newest(service: string, limit: number): Promise<string[]>;
}

/** A push as the index has it; without time and person where there is no index. */
export interface IndexedPush {
  version: string;
  pushedAt?: string | undefined;
  pushedBy?: string | undefined;
}

/** How many versions the hint of VERSION_NOT_FOUND names. */
const NAMED = 5;
/** How many manifests are read at a time. */
const READS = 32;
/** How far the clocks of a publisher and of S3 may differ, ms. */
const CLOCKS_MS = 3_600_000;

export function openVersions(objects: Objects, verifier: () => Promise<Verifier>): Versions {
  /** The index is a cache: a missing or unreadable one counts as empty. */
  async function index(service: string): Promise<VersionIndex['pushes']> {
    try {
      return (await objects.readJson(keys.index(service), versionIndex))?.value.pushes ?? [];
    } catch (error) {
      if (error instanceof TriggerDeployError && error.code === 'DOCUMENT_INVALID') return [];
      throw error;
    }
  }

  async function pushes(service: string, limit: number): Promise<IndexedPush[]> {
    const indexed: IndexedPush[] = (await index(service)).map(({ version, pushedAt, pushedBy }) => ({
      ...{ version, pushedAt },
      pushedBy: cleanLine(pushedBy),
    }));
    const found = indexed.length > 0 ? indexed : (await listed(service)).map(({ version }) => ({ version }));
    // Of two pushes of one version, the newer one counts.
    const first = new Map<string, IndexedPush>();
    for (const push of found) if (!first.has(push.version)) first.set(push.version, push);
    return [...first.values()].slice(0, limit);
  }

  const newest = async (service: string, limit: number) =>
    (await pushes(service, limit)).map(({ version }) => version);

  /** The versions that have a manifest in the bucket, sorted by the time of its last write, the newest first. */
  async function listed(service: string): Promise<{ version: string; lastModified: number }[]> {
    const prefix = keys.artifacts(service);
    const objectsThere = await objects.list(prefix);
    return objectsThere
      .map(({ key, lastModified }) => ({
        version: key.slice(prefix.length).split('/')[0] ?? '',
        key,
        lastModified,
      }))
      .filter(
        ({ version, key }) =>
          versionName.safeParse(version).success && key === keys.manifest(service, version),
      )
      .sort((a, b) => b.lastModified - a.lastModified);
  }

  /**
   * The newest push. S3's time of a write is never before the push, so manifests that were written last before the newest
   * push so far cannot be newer. Another writer can only make a version look newer, and its signed time then decides.
   */
  async function latest(service: string): Promise<Manifest> {
    let best: Manifest | undefined;
    let problem: unknown;
    const isNewer = (one: Manifest) =>
      best === undefined || Date.parse(one.pushedAt) > Date.parse(best.pushedAt);
    // A copy of a bucket has all its manifests from one day: they are read side by side, more and more of them.
    for (let rest = await listed(service), many = 1; rest.length > 0; many = Math.min(many * 2, READS)) {
      const since = best === undefined ? 0 : Date.parse(best.pushedAt) - CLOCKS_MS;
      const some = rest.slice(0, many).filter(({ lastModified }) => lastModified >= since);
      if (some.length === 0) break;
      rest = rest.slice(some.length);
      await mapLimit(some, READS, async ({ version }) => {
        try {
          const found = await readManifest(service, version);
          if (isNewer(found)) best = found;
        } catch (error) {
          if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'VERSION_NOT_FOUND')) throw error;
          problem ??= error;
        }
      });
    }
    // A version that cannot be verified may be the newest one: a person has to look.
    if (problem !== undefined) throw problem;
    if (best === undefined) throw notFound(service, 'latest', []);
    return best;
  }

  async function readManifest(service: string, version: string): Promise<Manifest> {
    const key = keys.manifest(service, version);
    const stored = await objects.read(key);
    if (stored === undefined) throw notFound(service, version, await newest(service, NAMED));
    const found = await verifyStored(await verifier(), 'td-manifest+jws', key, stored.text, manifest);
    if (found.service !== service || found.version !== version) {
      throw new TriggerDeployError(
        'DOCUMENT_INVALID',
        `${key} is the manifest of ${found.service} ${found.version}`,
        { hint: 'this object was copied from another key: push the files again as another version' },
      );
    }
    return found;
  }

  return {
    readManifest,
    newest,
    pushes,
    all: async (service) => (await listed(service)).map(({ version }) => version),
    async resolve(service, version) {
      if (version !== 'latest') return await readManifest(service, version);
      return await latest(service);
    },
  };
}

function notFound(service: string, version: string, there: readonly string[]): TriggerDeployError {
  if (there.length === 0) {
    return new TriggerDeployError(
      'SERVICE_NOT_FOUND',
      `no version of the service ${service} was ever pushed`,
      {
        hint: `check the name, or push a version: trigger-deploy push ${service} ${version === 'latest' ? 'VERSION' : version} FILE`,
      },
    );
  }
  return new TriggerDeployError('VERSION_NOT_FOUND', `there is no version ${version} of ${service}`, {
    hint: `the newest are ${there.join(', ')}; trigger-deploy push creates a version`,
  });
}
