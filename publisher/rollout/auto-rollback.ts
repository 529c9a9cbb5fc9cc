import type { Artifact } from '../../shared/manifest.ts';
import { newUlid } from '../../shared/names.ts';
import { validity } from '../messaging/announce.ts';
import type { Lock } from '../record/held-lock.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { driveAllAtOnce } from './all-at-once.ts';
import { begin, type Created, createRecord } from './create-record.ts';
import { emitAfterRollback, isRollBackDue, UNSETTLED } from './record-outcome.ts';
import { refuseIfRefuted } from './refuted.ts';
import { assertFiles } from './trusted-order.ts';

/**
 * The automatic rollback after a deployment failed or was cancelled. It is a new deployment of the older version, with
 * the next sequence. It goes to the targets of the failed deployment, or to all instances if there were no targets: an
 * instance may have switched without a report.
 */

/**
 * Carries out the rollback that the outcome of `settled` requires, if any, then shows the outcome of `settled` again. A
 * rollback never requires another rollback, so the loop runs once at most. @throws as `refuseIfRefuted` and
 * `driveAllAtOnce`.
 */
export async function rollBackIfDue(
  session: Session,
  lock: Lock,
  settled: StoredDeployment,
  detach: AbortSignal,
): Promise<void> {
  let last: StoredDeployment | undefined = settled;
  let followed = false;
  while (last !== undefined && isRollBackDue(last.value)) {
    await refuseIfRefuted(session, last.value);
    const rollback = await startRollback(session, lock, last);
    const ended = await driveAllAtOnce(session, lock, rollback, { wait: true, detach });
    last = ended.settled;
    followed = true;
  }
  if (followed) emitAfterRollback(session, settled.value, last?.value);
}

/**
 * Repeats the rollback of `undone`, when an earlier publisher did not announce it or did not follow it to its end. The
 * rollback keeps its id, so agents that know it treat the announcement as a duplicate. The caller holds the lock.
 * @throws ARTIFACT_DIGEST_MISMATCH; as `driveAllAtOnce`.
 */
export async function repeatRollback(
  session: Session,
  lock: Lock,
  undone: StoredDeployment,
  rollback: StoredDeployment,
  detach: AbortSignal,
): Promise<void> {
  const { deployments } = session.record;
  const { deployment, service, policy } = rollback.value;
  await assertFiles(session, rollback.value);
  // The lock names the rollback from now on; the sequence of the rollback stays.
  await lock.next(deployment);
  if (undone.value.rolledBackBy === undefined) {
    await deployments.update(undone, { rolledBackBy: deployment });
  }
  const { issuedAt, expiresAt } = validity(session.clock, policy.timeoutMs);
  const again = { ...UNSETTLED, announcedAt: issuedAt, expiresAt };
  const [stored, instances] = await Promise.all([
    deployments.update(rollback, again),
    deployments.instances(service),
  ]);
  await begin(session, { stored, instances }, { resumed: true });
  const ended = await driveAllAtOnce(session, lock, stored, { wait: true, detach });
  emitAfterRollback(session, undone.value, ended.settled?.value);
}

async function startRollback(
  session: Session,
  lock: Lock,
  undone: StoredDeployment,
): Promise<StoredDeployment> {
  const { service, version: failed, deployment: rollbackOf, rollBackTo: version, targets } = undone.value;
  if (version === undefined) throw new Error('no rollback is due');
  const artifacts = await artifactsOf(session, service, version);
  const deployment = newUlid(session.clock.now());
  const ticket = { deployment, sequence: await lock.next(deployment), lock };
  const created: Created = await createRecord(
    session,
    ticket,
    {
      ...{ service, version, artifacts, action: 'rollback', previous: failed, rollbackOf, targets },
      reason: `${failed} (${rollbackOf}) failed`,
    },
    // A rollback is never rolled back.
    { policy: { ...undone.value.policy, onFailure: 'stop' }, desiredFirst: true },
  );
  await session.record.deployments.update(undone, { rolledBackBy: deployment });
  await begin(session, created);
  return created.stored;
}

/** The artifacts of `version`: from the desired state if it has this version, else from the manifest. */
async function artifactsOf(
  { record }: Pick<Session, 'record'>,
  service: string,
  version: string,
): Promise<Artifact[]> {
  const stored = await record.desired.read(service);
  if (stored?.value.version === version) return stored.value.artifacts;
  return (await record.versions.readManifest(service, version)).artifacts;
}
