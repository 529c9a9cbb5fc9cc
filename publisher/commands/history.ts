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
  /** Whether a filter was given: an empty list then does not mean that there is none. */
  narrowed: boolean;
}

export interface HistoryOptions {
  service: string;
  /** At most this many. */
  limit: number;
  /** Only those that did not succeed on every instance. */
  failed?: boolean;
  /** Only those announced within this time, ms. */
  sinceMs?: number | undefined;
}

/** `trigger-deploy history SERVICE`: its last deployments. @throws SERVICE_NOT_FOUND. */
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

/** Exit code 1 with status `succeeded`: some instances failed, within what was allowed. */
const hasFailed = ({ status, exitCode }: PastDeployment) =>
  status === 'failed' || status === 'timed-out' || status === 'cancelled' || exitCode === 1;
