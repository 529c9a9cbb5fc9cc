import { versionBefore } from '../plan/rollback-target.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';
import { lostDesired } from './lost-desired.ts';

/**
 * Sets the desired state to the version of `record`. The version that the next rollback returns to comes from the signed
 * record, and not from the desired state before: another writer may have put an old one back.
 * @param previous the version that the next rollback returns to, for a rollback.
 * @throws FENCED when a newer deployment wrote the desired state; AWS_*.
 */
export async function writeDesired(
  session: Session,
  record: DeploymentRecord,
  previous?: string,
): Promise<void> {
  await session.record.desired.move({
    service: record.service,
    version: record.version,
    artifacts: record.artifacts,
    action: record.action === 'rollback' ? 'rollback' : 'deploy',
    sequence: record.sequence,
    deployment: record.deployment,
    changedBy: record.issuedBy,
    previous: record.action === 'rollback' ? previous : await previousOf(session, record),
  });
}

/** Null for none; undefined: that of the desired state which has this version already. */
async function previousOf(
  { record: { desired, deployments } }: Session,
  { service, version, previous }: DeploymentRecord,
): Promise<string | null | undefined> {
  if (previous !== version) return previous;
  const [stored, recent] = await Promise.all([desired.read(service), deployments.recent(service)]);
  const records = recent.map(({ value }) => value);
  if (lostDesired(stored?.value, records) === undefined) return undefined;
  return versionBefore(version, records) ?? null;
}
