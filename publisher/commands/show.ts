import { isCode } from '../../shared/errors.ts';
import type { Report } from '../../shared/report.ts';
import { localDeployment, type PastDeployment } from '../local-deployments.ts';
import type { Session } from '../session.ts';

export interface ShowAnswer {
  type: 'deployment';
  deployment: PastDeployment;
  /** The last report of each instance in the record, by instance. */
  reports: Report[];
}

/** All that the record holds of one deployment. @throws DEPLOYMENT_NOT_FOUND. */
export async function show(session: Session, options: { deployment: string }): Promise<ShowAnswer> {
  const { deployments } = session.ledger;
  const service = await deployments.find(options.deployment);
  const [stored, reports] = await Promise.all([
    deployments.read(service, options.deployment).catch((error: unknown) => {
      if (isCode(error, 'DEPLOYMENT_NOT_FOUND')) return error;
      throw error;
    }),
    deployments.reports(service, options.deployment),
  ]);
  const deployment = stored instanceof Error ? localDeployment(reports) : stored.value;
  if (deployment === undefined) throw stored;
  return {
    type: 'deployment',
    deployment,
    reports: reports.sort((a, b) => (a.instance < b.instance ? -1 : 1)),
  };
}
