import type { Desired } from '../../shared/desired.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { hasProved } from './proved.ts';

/**
 * The version that a rollback without `--to` returns to; undefined when there is none. Pure. `history` must have the
 * newest deployment first. The first rule that gives a version applies:
 *
 * 1. The desired version, if the newest deployment was of another version and instances run that version, or may still
 *    switch to it (`strayVersion`).
 * 2. The `previous` version of the desired state.
 * 3. The version of the newest succeeded deployment to all instances. The desired version, and versions that a later
 *    rollback replaced, are skipped.
 */
export function rollbackTarget(
  desired: Desired | undefined,
  history: readonly DeploymentRecord[],
): string | undefined {
  if (desired && strayVersion(desired, history[0])) return desired.version;
  if (desired?.previous !== undefined) return desired.previous;
  const left = new Set<string | null>([desired?.version ?? null]);
  for (const record of history.filter((one) => one.targets === undefined)) {
    if (record.action === 'rollback') left.add(record.previous);
    else if (record.action === 'deploy' && hasProved(record) && !left.has(record.version))
      return record.version;
  }
  return undefined;
}

/**
 * The version of the newest deployment `last`, if it is not the desired version and instances run it, or may still
 * switch to it.
 */
export function strayVersion(
  desired: Desired | undefined,
  last: DeploymentRecord | undefined,
): string | undefined {
  if (last === undefined || last.action !== 'deploy' || last.version === desired?.version) return undefined;
  // A record that is older than the desired state was put back, or newer ones were deleted.
  if (desired !== undefined && last.sequence < desired.sequence) return undefined;
  if (last.status === 'succeeded' || last.rolledBackBy !== undefined) return undefined;
  const endedOnIt = (last.counts?.succeeded ?? 0) + (last.counts?.broken ?? 0);
  const mayEndOnIt = last.status !== 'failed';
  return endedOnIt > 0 || mayEndOnIt ? last.version : undefined;
}

/**
 * The version that ran before `version` was deployed. After a rollback to `version`, the next rollback returns to this
 * older version, and not to the version that was just rolled back.
 */
export function versionBefore(version: string, history: readonly DeploymentRecord[]): string | undefined {
  const brought = history.find(
    (record) =>
      record.action === 'deploy' &&
      record.targets === undefined &&
      hasProved(record) &&
      record.version === version &&
      record.previous !== version,
  );
  return brought?.previous ?? undefined;
}
