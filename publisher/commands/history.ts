import type { PastDeployment } from '../record/local-deployment.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface HistoryAnswer {
  type: 'history';
  env: string;
  service: string;
  at: number; // ms since the epoch
  /** The newest first. */
  deployments: PastDeployment[];
  /** Whether it was asked for some of them only. */
  narrowed: boolean;
}

export interface HistoryOptions {
  service: string;
  /** How many at most. */
  limit: number;
  /** Only those that did not succeed everywhere. */
  failed?: boolean;
  /** Only those of the last so many ms. */
  sinceMs?: number | undefined;
}

/** The last deployments of a service. @throws SERVICE_NOT_FOUND. */
export async function history(session: Session, options: HistoryOptions): Promise<HistoryAnswer> {
  const { service, limit, failed = false, sinceMs } = options;
  const { deployments } = session.record;
  const since = sinceMs === undefined ? undefined : session.clock.now() - sinceMs;
  const wanted = failed ? hasFailed : undefined;
  const found = await deployments.history(service, limit, { since, ...(wanted && { wanted }) });
  if (found.length === 0) await checkServiceExists(session, service);
  return {
    ...{ type: 'history', env: session.env.name, service, at: session.clock.now() },
    deployments: found,
    narrowed: failed || since !== undefined,
  };
}

/** One that passed with some failures has failed for those; one that is under way has not yet. */
const hasFailed = ({ status, exitCode }: PastDeployment) =>
  status === 'failed' || status === 'timed-out' || status === 'cancelled' || exitCode === 1;
