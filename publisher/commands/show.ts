import { isCode } from '../../shared/errors.ts';
import type { Report } from '../../shared/report.ts';
import { note } from '../events.ts';
import { localDeployment, type PastDeployment } from '../record/local-deployment.ts';
import { type Decisions, readDecisions } from '../rollout/decisions.ts';
import type { Session } from '../session.ts';

export interface ShowAnswer {
  type: 'deployment';
  deployment: PastDeployment;
  /** Who confirmed or cancelled it, and why. */
  decisions: Decisions;
  /** The last report of each instance in the record, by instance. */
  reports: Report[];
}

/** All that the record holds of one deployment. @throws DEPLOYMENT_NOT_FOUND. */
export async function show(session: Session, options: { deployment: string }): Promise<ShowAnswer> {
  const { deployments } = session.record;
  const service = await deployments.find(options.deployment);
  const [stored, reports, decisions] = await Promise.all([
    deployments.read(service, options.deployment).catch((error: unknown) => {
      if (isCode(error, 'DEPLOYMENT_NOT_FOUND')) return error;
      throw error;
    }),
    deployments.reports(service, options.deployment),
    decisionsOn(session, service, options.deployment),
  ]);
  const deployment = stored instanceof Error ? localDeployment(reports) : stored.value;
  if (deployment === undefined) throw stored;
  return {
    type: 'deployment',
    deployment,
    decisions,
    reports: reports.sort((a, b) => (a.instance < b.instance ? -1 : 1)),
  };
}

/** Whoever holds no key still sees the rest: a decision that cannot be verified is told as such. */
async function decisionsOn(session: Session, service: string, id: string): Promise<Decisions> {
  try {
    return await readDecisions(session, service, id);
  } catch (error) {
    if (!isCode(error, 'CONFIG_INVALID', 'KEY_INVALID')) throw error;
    const text = `who confirmed or cancelled it cannot be verified: ${error.message}`;
    note(session, text, 'warning');
    return {};
  }
}
