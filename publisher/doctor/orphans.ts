import { isCode } from '../../shared/errors.ts';
import { agentQueueName } from '../../shared/names.ts';
import { openCleaner } from '../cleanup/aws-cleaner.ts';
import type { GcContext } from '../cleanup/finding.ts';
import { findGone } from '../cleanup/instances.ts';
import { cleanQueues, cleanReplyQueues, cleanSubscriptions, ownSubscriptions } from '../cleanup/queues.ts';
import type { Session } from '../session.ts';
import type { DoctorFinding } from './finding.ts';

/** Queues and subscriptions that nobody uses any more, as `gc` finds them. Changes nothing. */

/** The subscriptions first: a queue that is made meanwhile is then not taken for a missing one. @throws AWS_*. */
export async function examineOrphans(session: Session): Promise<DoctorFinding[]> {
  const { env } = session;
  const context: GcContext = { session, deletes: false, service: undefined, findings: [] };
  const cleaner = openCleaner(session);
  try {
    const subscriptions = await ownSubscriptions(cleaner, env.topic);
    const inventory = { subscriptions, queues: await cleaner.listQueues(agentQueueName(env.name, '')) };
    const fleet = await findGone(session, cleaner, inventory.queues);
    if (fleet !== undefined) {
      await cleanSubscriptions(context, cleaner, inventory, fleet);
      await cleanQueues(context, cleaner, inventory, fleet);
    }
    await cleanReplyQueues(context, cleaner, inventory);
  } catch (error) {
    session.signal.throwIfAborted();
    if (!isCode(error) || error.code !== 'AWS_DENIED') throw error;
    const hint = `trigger-deploy init --env ${env.name} --print iam prints the policy for gc, which may list queues`;
    return [{ id: 'orphans', state: 'unknown', what: error.message, hint }];
  }
  const found = context.findings.filter(({ state }) => state === 'found');
  if (found.length === 0) return [{ id: 'orphans', state: 'ok', what: 'no queue is left over' }];
  const byKind = Map.groupBy(found, ({ kind }) => kind);
  const counts = [...byKind].map(([kind, all]) => `${all.length} ${kind}`).join(', ');
  return [
    {
      ...{ id: 'orphans', state: 'wrong', what: `left over: ${counts}, such as ${found[0]?.name}` },
      hint: `trigger-deploy gc --env ${env.name} names them, and deletes them with --yes`,
    },
  ];
}
