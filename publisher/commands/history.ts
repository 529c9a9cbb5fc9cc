import type { PastDeployment } from '../record/local-deployment.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface HistoryAnswer {
  type: 'history';
  env: string;
  service: string;
  at: number; // ms since the epoch
  /** Newest first. */
  deployments: PastDeployment[];
  /** Whether a filter was given. If so, an empty list does not mean that the service has no deployment. */
  narrowed: boolean;
}

export interface HistoryOptions {
  service: string;
  /** At most this many. */
  limit: number;
  /** Only deployments that did not succeed, or on which an instance failed. */
  failed?: boolean;
  /** Only deployments of the last `ago` ms, or since `at`, ms since the epoch. */
  since?: { ago: number } | { at: number } | undefined;
}

/** `trigger-deploy history SERVICE`: the last deployments of the service. @throws SERVICE_NOT_FOUND. */
export async function history(session: Session, options: HistoryOptions): Promise<HistoryAnswer> {
  const { service, limit, failed = false, since: from } = options;
  const { deployments } = session.record;
  const since = from && ('at' in from ? from.at : () => session.clock.now() - from.ago);
  const wanted = failed ? hasFailed : undefined;
  const found = await deployments.history(service, limit, { since, ...(wanted && { wanted }) });
  if (found.length === 0) await checkServiceExists(session, service);
  return {
    ...{ type: 'history', env: session.env.name, service, at: session.clock.now() },
    deployments: found,
    narrowed: failed || since !== undefined,
  };
}

/** A deployment that succeeded has exit code 1 when some instances failed, but no more than allowed. */
const hasFailed = ({ status, exitCode }: PastDeployment) =>
  status === 'failed' || status === 'timed-out' || status === 'cancelled' || exitCode === 1;
