import type { Desired } from '../../shared/desired.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { hasProved } from './proved.ts';
import { rollbackTarget } from './rollback-target.ts';

/** Decides which versions and deployment records are old enough to be deleted, and which are still wanted. Pure. */

/** What the config keeps. Without both limits of a kind, nothing of it is deleted. */
export interface Retention {
  /** So many of the newest versions of a service. */
  keepVersions?: number | undefined;
  /** Versions that were pushed within this time, ms. */
  keepVersionsForMs?: number | undefined;
  keepDeployments?: number | undefined;
  keepDeploymentsForMs?: number | undefined;
}

/** However little the config keeps: `latest`, and what the last ones can be compared with. */
const FEWEST_VERSIONS = 3;
/** Publishers read so many of the newest records before each change. */
const FEWEST_DEPLOYMENTS = 64;

/** Of `all`, the newest first, those beyond both limits. */
function beyond<T extends { at: number }>(
  all: readonly T[],
  {
    keep,
    keepForMs,
    now,
    fewest,
  }: {
    keep: number | undefined;
    keepForMs: number | undefined;
    now: number; // ms since the epoch
    fewest: number;
  },
): T[] {
  if (keep === undefined && keepForMs === undefined) return [];
  const rest = all.slice(Math.max(keep ?? 0, fewest));
  return rest.filter(({ at }) => now - at >= (keepForMs ?? 0));
}

export const oldVersions = <T extends { at: number }>(all: readonly T[], retention: Retention, now: number) =>
  beyond(all, {
    ...{ keep: retention.keepVersions, keepForMs: retention.keepVersionsForMs, now },
    fewest: FEWEST_VERSIONS,
  });

export const oldDeployments = <T extends { at: number }>(
  all: readonly T[],
  retention: Retention,
  now: number,
) =>
  beyond(all, {
    ...{ keep: retention.keepDeployments, keepForMs: retention.keepDeploymentsForMs, now },
    fewest: FEWEST_DEPLOYMENTS,
  });

const isSettled = ({ status }: DeploymentRecord) =>
  status === 'succeeded' || status === 'failed' || status === 'cancelled';

/**
 * The versions of a service that an environment may still need, each with the first reason: what is desired, what a rollback returns to, what a
 * deployment that is not settled deploys or replaces, what was last good, and what instances run. `records` has the
 * newest deployments, the highest sequence first.
 */
export function wantedVersions(
  env: string,
  {
    desired,
    records,
    runs,
  }: { desired: Desired | undefined; records: readonly DeploymentRecord[]; runs: Iterable<string> },
): Map<string, string> {
  const wanted = new Map<string, string>();
  const add = (version: string | null | undefined, why: string) => {
    if (version !== null && version !== undefined && !wanted.has(version))
      wanted.set(version, `${why} in ${env}`);
  };
  for (const version of runs) add(version, 'runs on an instance');
  add(desired?.version, 'is desired');
  add(desired?.previous, 'is what a rollback returns to');
  for (const [index, record] of records.entries()) {
    const { version, previous, rollBackTo, setDesired, sequence } = record;
    if (!isSettled(record) || index === 0) {
      add(version, 'is in a deployment that is not settled, or is the newest');
      add(previous, 'is what a deployment replaces that is not settled, or is the newest');
    }
    add(rollBackTo, 'is what a deployment was rolled back to');
    if (setDesired && sequence > (desired?.sequence ?? 0)) add(version, 'was desired last');
  }
  add(rollbackTarget(desired, records), 'is what a rollback returns to');
  const good = [...new Set(records.filter(hasProved).map(({ version }) => version))];
  for (const version of good.slice(0, 2)) add(version, 'was last good');
  return wanted;
}
