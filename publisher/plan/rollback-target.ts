import type { Desired } from '../../shared/desired.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';

/**
 * Where a rollback goes when it is not told. Pure; `history` is newest first.
 *
 * 1. Where the newest deployment is not what the desired state says and instances have or may have its
 *    version: to the desired state, which is what they ran before.
 * 2. Else to what the desired state names as the version before it.
 * 3. Else to the newest version that succeeded and was not rolled back from since.
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
    else if (record.action === 'deploy' && record.status === 'succeeded' && !left.has(record.version))
      return record.version;
  }
  return undefined;
}

/** The version that instances have or may have though the desired state does not say so. */
export function strayVersion(
  desired: Desired | undefined,
  last: DeploymentRecord | undefined,
): string | undefined {
  if (last === undefined || last.action !== 'deploy' || last.version === desired?.version) return undefined;
  if (last.status === 'succeeded' || last.rolledBackBy !== undefined) return undefined;
  const endedOnIt = (last.counts?.succeeded ?? 0) + (last.counts?.broken ?? 0);
  const mayEndOnIt = last.status !== 'failed';
  return endedOnIt > 0 || mayEndOnIt ? last.version : undefined;
}

/**
 * What preceded `version` when it was deployed: where a further rollback goes after a rollback to it. What was
 * just left is no place to return to.
 */
export function versionBefore(version: string, history: readonly DeploymentRecord[]): string | undefined {
  const brought = history.find(
    (record) =>
      record.action === 'deploy' &&
      record.targets === undefined &&
      record.status === 'succeeded' &&
      record.version === version &&
      record.previous !== version,
  );
  return brought?.previous ?? undefined;
}
