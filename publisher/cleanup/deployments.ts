import { isCode } from '../../shared/errors.ts';
import { keys, ulid, ulidTime } from '../../shared/names.ts';
import { hasProved } from '../plan/proved.ts';
import { oldDeployments, type Retention } from '../plan/retention.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Cleaner } from './aws-cleaner.ts';
import { collect, type GcContext, keep } from './finding.ts';

/**
 * Deletes deployment records beyond the retention, with their reports and decisions. The record goes last: killed in
 * between, it is found again. A record is kept while it is needed: it is not settled, the desired state is of it, or it
 * is the newest proof that a version which still exists has succeeded here (`promote`, `requires:`).
 */

const READS = 16;
const DELETES = 8;

export async function cleanDeployments(
  context: GcContext,
  cleaner: Cleaner,
  service: string,
  { retention }: { retention: Retention },
): Promise<void> {
  const { session } = context;
  const { env, clock, record } = session;
  const { objects, deployments } = record;
  const now = clock.now();
  const prefix = keys.deployments(env.name, service);
  const ids = (await objects.folders(prefix)).filter(
    (id) => ulid.safeParse(id).success && ulidTime(id) <= now,
  );
  const all = ids.reverse().map((id) => ({ id, at: ulidTime(id) }));
  const old = oldDeployments(all, retention, now);
  if (old.length === 0) return;
  const desired = (await record.desired.read(service))?.value;
  const versions = new Set(
    (await objects.list(keys.artifacts(service)))
      .filter(({ key }) => key.endsWith('/manifest.jws'))
      .map(({ key }) => key.slice(keys.artifacts(service).length).split('/')[0] ?? ''),
  );
  const proven = new Set<string>();
  const isOld = new Set(old.map(({ id }) => id));
  // The newest first: the newest proof of a version is the one that counts.
  for (let at = 0; at < all.length; at += READS) {
    const some = await mapLimit(all.slice(at, at + READS), READS, async (one) => ({
      ...one,
      found: await readOne(deployments.read(service, one.id)),
    }));
    for (const { id, found, at: made } of some) {
      const why = isOld.has(id)
        ? whyNeeded(found, { proven, versions, desired: desired?.deployment })
        : 'it is new';
      if (typeof found === 'object' && isProof(found)) proven.add(found.version);
      if (!isOld.has(id)) continue;
      const about = { kind: 'deployments' as const, name: `${service} ${id}`, ageMs: now - made };
      if (why !== undefined) {
        keep(context, { ...about, why });
        continue;
      }
      const own = await objects.list(`${prefix}${id}/`);
      const bytes = own.reduce((sum, { size }) => sum + size, 0);
      await collect(
        context,
        { ...about, why: 'it is beyond the retention', objects: own.length, bytes },
        async () => {
          const last = new Set([keys.deployment(env.name, service, id)]);
          const first = own.filter(({ key }) => !last.has(key));
          await mapLimit(first, DELETES, ({ key }) => cleaner.deleteObject(key));
          for (const { key, etag } of own.filter((one) => last.has(one.key)))
            if (!(await cleaner.deleteObject(key, etag))) return 'it was changed meanwhile';
          return undefined;
        },
      );
    }
  }
}

/** `none`: a local deployment, or one of an older publisher, has no signed record. */
async function readOne(
  reading: Promise<{ value: DeploymentRecord }>,
): Promise<DeploymentRecord | 'none' | 'unverified'> {
  try {
    return (await reading).value;
  } catch (error) {
    if (isCode(error, 'DEPLOYMENT_NOT_FOUND')) return 'none';
    if (isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID', 'RECORD_DAMAGED')) return 'unverified';
    throw error;
  }
}

/** As `requires:` counts it: to all instances, and on at least one with success. */
const isProof = (record: DeploymentRecord) =>
  hasProved(record) && record.targets === undefined && record.action !== 'restart';

function whyNeeded(
  found: DeploymentRecord | 'none' | 'unverified',
  known: { proven: ReadonlySet<string>; versions: ReadonlySet<string>; desired: string | undefined },
): string | undefined {
  if (found === 'none') return undefined;
  if (found === 'unverified') return 'it cannot be verified: doctor says more';
  const { status, deployment, rollBackTo, rolledBackBy, version } = found;
  if (status === 'announced' || status === 'timed-out') return 'it is not settled';
  if (rollBackTo !== undefined && rolledBackBy === undefined) return 'its rollback has not begun';
  if (deployment === known.desired) return 'it set the desired state';
  const isNeeded = isProof(found) && known.versions.has(version) && !known.proven.has(version);
  return isNeeded ? `it is the proof that ${version} has succeeded` : undefined;
}
