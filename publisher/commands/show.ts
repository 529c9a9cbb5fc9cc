import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import type { Report } from '../../shared/report.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import { deploymentUrl } from '../render/address.ts';
import { type Decisions, readDecisions } from '../rollout/decisions.ts';
import type { Session } from '../session.ts';

export interface ShowAnswer {
  type: 'deployment';
  deployment: PastDeployment;
  /** Who confirmed or cancelled it, and why. */
  decisions: Decisions;
  /** Its page on the console; left out where the config has no `console.url`. */
  url?: string;
  /** The instance that was asked for; left out when no instance was named. */
  instance?: string;
  /** The last report of each instance in the record, sorted by instance. */
  reports: Report[];
}

export interface ShowOptions {
  deployment: string;
  /** Only the report of this instance. */
  instance?: string | undefined;
}

/**
 * `trigger-deploy show ID`: shows all that the record holds about one deployment.
 * @throws DEPLOYMENT_NOT_FOUND; INSTANCE_NOT_FOUND when the deployment has no such instance.
 */
export async function show(session: Session, options: ShowOptions): Promise<ShowAnswer> {
  const { instance } = options;
  const { deployments } = session.record;
  const service = await deployments.find(options.deployment);
  const [stored, reports] = await Promise.all([
    deployments.read(service, options.deployment).catch((error: unknown) => {
      if (isCode(error, 'DEPLOYMENT_NOT_FOUND')) return undefined;
      throw error;
    }),
    deployments.reports(service, options.deployment),
  ]);
  const deployment = stored?.value ?? (await deployments.past(service, options.deployment));
  const decisions = stored ? await readDecisions(session, stored) : {};
  const url = deploymentUrl(session.env.consoleUrl, deployment);
  if (instance !== undefined) checkInstance(deployment, reports, instance);
  return {
    type: 'deployment',
    deployment,
    decisions,
    ...(url !== undefined && { url }),
    ...(instance !== undefined && { instance }),
    reports: reports
      .filter((report) => instance === undefined || report.instance === instance)
      .sort((a, b) => (a.instance < b.instance ? -1 : 1)),
  };
}

function checkInstance(
  { expected, deployment, env }: PastDeployment,
  reports: Report[],
  instance: string,
): void {
  const known = [...new Set([...expected, ...reports.map((report) => report.instance)])];
  if (known.includes(instance)) return;
  throw new TriggerDeployError('INSTANCE_NOT_FOUND', `${deployment} has no instance ${instance}`, {
    hint: `trigger-deploy show ${deployment} --env ${env} lists its instances`,
  });
}
