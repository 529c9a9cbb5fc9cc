import type { PastDeployment } from '../local-deployments.ts';
import type { Session } from '../session.ts';
import { checkExists } from './status.ts';

export interface HistoryAnswer {
  type: 'history';
  env: string;
  service: string;
  at: number; // ms since the epoch
  /** The newest first. */
  deployments: PastDeployment[];
}

/** The last `limit` deployments of a service. @throws SERVICE_NOT_FOUND. */
export async function history(
  session: Session,
  options: { service: string; limit: number },
): Promise<HistoryAnswer> {
  const { service, limit } = options;
  const deployments = await session.ledger.deployments.history(service, limit);
  if (deployments.length === 0) await checkExists(session, service);
  return { type: 'history', env: session.env.name, service, at: session.clock.now(), deployments };
}
