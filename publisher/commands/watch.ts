import type { ExitCode } from '../events.ts';
import { type WatchOptions, watchDeployment } from '../rollout/watch.ts';
import type { Session } from '../session.ts';

/**
 * `trigger-deploy watch ID`: shows what the record holds and follows the deployment to its outcome. If its publisher
 * has stopped, the watch settles the deployment and carries out the rollback that follows. A deployment that has
 * ended is only shown.
 * @returns the exit code of the deployment.
 * @throws DEPLOYMENT_NOT_FOUND, FENCED, AWS_*.
 */
export async function watch(session: Session, options: WatchOptions): Promise<ExitCode> {
  return await watchDeployment(session, options);
}
