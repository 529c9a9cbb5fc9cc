import type { DeploymentRecord } from '../record/deployment-schema.ts';

/** Decides whether switched instances roll back when a deployment fails or is cancelled, and explains it. Pure. */

type Changing = Pick<DeploymentRecord, 'action' | 'policy' | 'previous' | 'version' | 'targets'>;

/** Why switched instances do not roll back; undefined when they do. */
export function whyNoRollback({ action, policy, previous, version, targets }: Changing): string | undefined {
  if (action === 'restart') return 'a restart does not change the version';
  if (action === 'rollback') return 'a rollback is never rolled back';
  if (policy.onFailure === 'stop') return '--on-failure stop';
  // With targets, `previous` is the version that all targets ran; it is null when they ran different versions.
  if (previous === null)
    return targets ? 'they ran different versions, or none' : 'nothing was deployed before';
  return previous === version ? `it was ${version} before` : undefined;
}

/** What happens to switched instances when a rolling deployment is cancelled. */
export function whenCancelled(record: Changing & Pick<DeploymentRecord, 'rolling'>): string {
  if (!record.rolling?.waves.some((wave) => wave.announcedAt)) return 'no instance has switched';
  const why = whyNoRollback(record);
  if (why === undefined) return `switched instances roll back to ${record.previous}`;
  const where = record.action === 'restart' ? 'as they are' : 'on the new version';
  return `switched instances stay ${where} (${why})`;
}
