import type { ExitCode } from '../events.ts';
import { type WatchOptions, watchDeployment } from '../rollout/watch.ts';
import type { Session } from '../session.ts';

/**
 * `trigger-deploy watch ID`: shows what the record holds, and follows the deployment to its outcome. If the publisher
 * has stopped, `watch` settles a deployment to all instances at once or a cancelled deployment, and carries out a
 * rollback that is due. For any other rolling deployment it shows the command `resume`. It only shows a deployment that
 * has ended.
 * @returns the exit code of the deployment.
 * @throws DEPLOYMENT_NOT_FOUND, FENCED, AWS_*.
 */
export async function watch(session: Session, options: WatchOptions): Promise<ExitCode> {
  return await watchDeployment(session, options);
}
