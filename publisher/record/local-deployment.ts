import { ulidTime } from '../../shared/names.ts';
import type { Report } from '../../shared/report.ts';
import { isEnding } from '../../shared/states.ts';
import type { DeploymentRecord } from './deployment-schema.ts';

/** A past deployment: announced, or ordered locally on one instance. */
export type PastDeployment = Pick<
  DeploymentRecord,
  | ('deployment' | 'env' | 'service' | 'version' | 'previous' | 'action' | 'sequence' | 'artifacts')
  | ('issuedBy' | 'from' | 'reason' | 'announcedAt' | 'expected' | 'status' | 'tookMs' | 'outcome')
  | ('rollbackOf' | 'rolledBackBy' | 'resumedBy' | 'resumedVia')
> &
  // A local deployment has none of these.
  Partial<
    Pick<
      DeploymentRecord,
      | ('strategy' | 'rolling' | 'targets' | 'policy' | 'settledAt' | 'exitCode' | 'counts')
      | ('line' | 'despitePause' | 'results' | 'forgotten' | 'checks' | 'checked')
    >
  > &
  Pick<DeploymentRecord, 'promotedFrom'> & {
    local?: { by: string; instance: string };
    /** A publisher before signed records wrote it: anyone who may write to the bucket could have changed it. */
    unsigned?: true;
  };

/**
 * A local deployment (`trigger-deploy-agent deploy` or `rollback`), from its only report: it was not announced, so it
 * has no record of its own. Undefined if the first report is not of a local deployment.
 */
export function localDeployment([report]: readonly Report[]): PastDeployment | undefined {
  if (!report?.local) return undefined;
  const { deployment, env, service, version, previous, sequence, instance, state, local } = report;
  const startedAt = ulidTime(deployment);
  const tookMs = Math.max(0, Date.parse(report.at) - startedAt);
  return {
    ...{ deployment, env, service, version, sequence },
    previous: previous ?? null,
    action: local.action,
    artifacts: [],
    issuedBy: `${local.by}, local on ${instance}`,
    from: { user: local.by, host: instance },
    announcedAt: new Date(startedAt).toISOString(),
    expected: [instance],
    status: !isEnding(state) ? 'announced' : state === 'succeeded' ? 'succeeded' : 'failed',
    ...(isEnding(state) && { tookMs }),
    ...(report.warning !== undefined && {
      results: { [instance]: { state, version, tookMs, warning: report.warning } },
    }),
    local: { by: local.by, instance },
  };
}
