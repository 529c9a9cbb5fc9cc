import { TriggerDeployError } from '../../shared/errors.ts';
import { sameArtifacts } from '../../shared/manifest.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';

/**
 * What is checked before a publisher signs again what a record ordered. The record is signed, but an old one stays valid:
 * a person who may write to the bucket can put it back, or can delete newer ones.
 */

/**
 * Whether the record may still be carried out: the desired state is not newer. `lockSequence` is the sequence with which
 * this publisher took the lock; every record before it has a lower one.
 * @throws RECORD_DAMAGED when the record has not: then `lock.json` was put back to an old one. SIGNATURE_INVALID,
 * DOCUMENT_INVALID when the desired state cannot be verified; AWS_*.
 */
export async function isCurrent(
  { record: { desired }, env }: Session,
  { service, sequence, deployment }: DeploymentRecord,
  lockSequence: number,
  reading = () => desired.read(service),
): Promise<boolean> {
  if (sequence >= lockSequence) throw lockTooLow(env.name, service, { deployment, sequence, lockSequence });
  const current = (await reading())?.value;
  if (current === undefined || current.deployment === deployment) return true;
  return current.sequence < sequence;
}

/**
 * Checks that the files of the record are those that were signed for its version: by the push, or for a restart by the
 * desired state that it restarts.
 * @throws ARTIFACT_DIGEST_MISMATCH; VERSION_NOT_FOUND and the like when the manifest is missing; SIGNATURE_INVALID.
 */
export async function assertFiles(
  { record }: Session,
  { deployment, service, version, action, artifacts }: DeploymentRecord,
): Promise<void> {
  const desired = action === 'restart' ? (await record.desired.read(service))?.value : undefined;
  if (desired?.version === version && sameArtifacts(desired.artifacts, artifacts)) return;
  const manifest = await record.versions.readManifest(service, version);
  if (sameArtifacts(manifest.artifacts, artifacts)) return;
  throw new TriggerDeployError(
    'ARTIFACT_DIGEST_MISMATCH',
    `the files that ${deployment} ordered are not those that were pushed as ${service} ${version}`,
    { hint: 'find out who changed the manifest or the record before you deploy this version again' },
  );
}

function lockTooLow(
  env: string,
  service: string,
  of: { deployment: string; sequence: number; lockSequence: number },
): TriggerDeployError {
  return new TriggerDeployError(
    'RECORD_DAMAGED',
    `the lock of ${service} counts to ${of.lockSequence}, but ${of.deployment} has the sequence ${of.sequence} already: an older lock was put back`,
    { hint: `trigger-deploy doctor ${service} --repair --env ${env} sets the lock right` },
  );
}
