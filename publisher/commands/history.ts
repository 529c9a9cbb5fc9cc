import { ulidTime } from '../../shared/names.ts';
import type { PastDeployment } from '../record/local-deployment.ts';
import { hasFailed, pastDeployments } from '../record/past-deployments.ts';
import { type PastPause, pastPauses } from '../record/past-pauses.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

export interface HistoryAnswer {
  type: 'history';
  env: string;
  /** Undefined: of all services. */
  service: string | undefined;
  at: number; // ms since the epoch
  /** Newest first. */
  deployments: PastDeployment[];
  /** The pauses and unpauses between them. */
  pauses: readonly PastPause[];
  /** Whether a filter was given. If so, an empty list does not mean that the service has no deployment. */
  narrowed: boolean;
  /** The id for `--before` that continues the list; left out at its end. */
  before?: string;
}

export interface HistoryOptions {
  /** All services when left out. */
  service?: string | undefined;
  /** At most this many. */
  limit: number;
  /** Only deployments that did not succeed, or on which an instance failed. */
  failed?: boolean;
  /** Only deployments of the last `ago` ms, or since `at`, ms since the epoch. */
  since?: { ago: number } | { at: number } | undefined;
  /** Only deployments that are older than this one. */
  before?: string | undefined;
}

/**
 * `trigger-deploy history [SERVICE]`: the last deployments, with the pauses between them.
 * @throws SERVICE_NOT_FOUND.
 */
export async function history(session: Session, options: HistoryOptions): Promise<HistoryAnswer> {
  const { service, limit, failed = false, since: from, before } = options;
  const { deployments, pauses } = session.record;
  const since = () => (from === undefined ? 0 : 'at' in from ? from.at : session.clock.now() - from.ago);
  const services = service === undefined ? await deployments.services() : [service];
  const page = await pastDeployments(deployments, {
    ...{ services, limit, since, before },
    ...(failed && { wanted: hasFailed }),
  });
  if (page.deployments.length === 0 && service !== undefined) await checkServiceExists(session, service);
  const oldest = page.deployments.at(-1)?.deployment;
  return {
    ...{ type: 'history', env: session.env.name, service, at: session.clock.now() },
    deployments: page.deployments,
    pauses: failed
      ? []
      : await pastPauses(pauses, services, {
          since: Math.max(since(), page.before === undefined || oldest === undefined ? 0 : ulidTime(oldest)),
          until: before === undefined ? Number.POSITIVE_INFINITY : ulidTime(before),
        }),
    narrowed: failed || from !== undefined || before !== undefined,
    ...(page.before !== undefined && { before: page.before }),
  };
}
