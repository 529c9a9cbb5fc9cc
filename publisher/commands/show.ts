import type { Report } from '../../shared/report.ts';
import type { DeploymentRecord } from '../deployments.ts';
import type { Session } from '../session.ts';

export interface ShowAnswer {
  type: 'deployment';
  deployment: DeploymentRecord;
  /** The last report of each instance in the record, by instance. */
  reports: Report[];
}

/** All that the record holds of one deployment. @throws DEPLOYMENT_NOT_FOUND. */
export async function show(session: Session, options: { deployment: string }): Promise<ShowAnswer> {
  const { deployments } = session.ledger;
  const service = await deployments.find(options.deployment);
  const [stored, reports] = await Promise.all([
    deployments.read(service, options.deployment),
    deployments.reports(service, options.deployment),
  ]);
  return {
    type: 'deployment',
    deployment: stored.value,
    reports: reports.sort((a, b) => (a.instance < b.instance ? -1 : 1)),
  };
}
