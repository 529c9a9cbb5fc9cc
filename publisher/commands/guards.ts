import { TriggerDeployError } from '../../shared/errors.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { ServiceFleet } from '../rollout/fleet-status.ts';
import { isFinal } from '../rollout/record-outcome.ts';
import { assertFiles, isCurrent } from '../rollout/trusted-order.ts';
import type { Session } from '../session.ts';

/** The checks that several verbs make before they start. */

/** @throws SERVICE_NOT_FOUND when no version of `service` was ever pushed; its hint names the known services. */
export async function checkServiceExists(session: Session, service: string): Promise<void> {
  const { versions, deployments } = session.record;
  if ((await versions.newest(service, 1)).length > 0) return;
  const others = (await deployments.services()).filter((name) => name !== service);
  const hint =
    others.length > 0
      ? `known services: ${others.join(', ')}`
      : `nothing is deployed in ${session.env.name} yet`;
  throw new TriggerDeployError('SERVICE_NOT_FOUND', `there is no service ${service} in ${session.env.name}`, {
    hint,
  });
}

/** @throws SERVICE_NOT_FOUND when neither the record, nor an instance, nor a pushed version knows `service`. */
export async function checkServiceKnown(
  session: Session,
  service: string | undefined,
  found: readonly ServiceFleet[],
): Promise<void> {
  const unknown = found.every(({ desired, trouble, instances }) => !desired && !trouble && !instances.length);
  if (service !== undefined && unknown) await checkServiceExists(session, service);
}

/** @throws NOT_UNDER_WAY when the deployment has ended. */
export function refuseIfOver(record: DeploymentRecord): void {
  if (!isFinal(record)) return;
  throw new TriggerDeployError(
    'NOT_UNDER_WAY',
    `${record.deployment} has ended: ${record.outcome ?? record.status}`,
    { hint: `trigger-deploy show ${record.deployment} --env ${record.env}` },
  );
}

/**
 * For a command that continues a deployment under a lock, taken with `lockSequence`.
 * @throws NOT_UNDER_WAY when the desired state is newer; RECORD_DAMAGED; ARTIFACT_DIGEST_MISMATCH.
 */
export async function refuseIfOutdated(
  session: Session,
  record: DeploymentRecord,
  lockSequence: number,
): Promise<void> {
  await assertFiles(session, record);
  if (await isCurrent(session, record, lockSequence)) return;
  throw new TriggerDeployError(
    'NOT_UNDER_WAY',
    `the desired state of ${record.service} is newer than ${record.deployment}`,
    { hint: `deploy ${record.version} again if it is still wanted` },
  );
}

/** @throws NOT_UNDER_WAY when a newer deployment of the service has started. */
export async function refuseIfOvertaken(session: Session, record: DeploymentRecord): Promise<void> {
  const newest = (await session.record.deployments.newest(record.service))?.value;
  if (newest === undefined || newest.deployment === record.deployment) return;
  throw new TriggerDeployError(
    'NOT_UNDER_WAY',
    `a newer deployment has started: ${newest.action} ${newest.deployment} of ${newest.version}`,
    { hint: `deploy ${record.version} again if it is still wanted` },
  );
}
