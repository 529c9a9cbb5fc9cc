import { LONGEST_EXPIRY_MS } from '../../shared/announcement.ts';
import { announce, dates } from '../messaging/announce.ts';
import { type ReplyQueue, rollCall } from '../messaging/reply-queue.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Lock } from '../record/held-lock.ts';
import type { Session } from '../session.ts';
import type { Conduct } from './all-at-once.ts';
import type { Phase } from './next-step.ts';
import type { Settlement } from './settle.ts';

/** What a rollout in waves says to its instances, and asks them. Everything here may be said and asked again. */

/** How long those that have switched have to say how they are, ms. */
const LOOK_MS = 5000;

/** Who speaks: under the lock, with a queue for the answers. */
export interface Caller {
  session: Session;
  lock: Lock;
  replies: ReplyQueue;
  conduct: Pick<Conduct, 'policy'>;
}

/** @throws FENCED, AWS_*, TOPIC_NOT_FOUND. */
export async function announcePhase(
  { session, lock, replies, conduct }: Caller,
  record: DeploymentRecord,
  phase: Phase,
  targets: readonly string[],
): Promise<void> {
  const { deployment, service, version, sequence, action, artifacts, reason } = record;
  lock.lost.throwIfAborted();
  await announce(
    session,
    {
      kind: phase.name === 'prepare' ? 'prepare' : 'deploy',
      ...{ deployment, service, version, sequence, action, artifacts, reason },
      targets: [...targets],
      replyTo: replies.name,
    },
    dates(session, conduct.policy.timeoutMs),
  );
}

/**
 * What stands prepared is let go: nobody will tell it to switch. Of one that may go on it stays prepared. Said for as
 * long as the prepare may still be heard, by an instance that was away.
 */
export async function callOff(
  { session }: Pick<Caller, 'session'>,
  { service, deployment, sequence }: DeploymentRecord,
  { outcome, rollBack }: Settlement,
): Promise<void> {
  if (outcome === 'timed-out' || rollBack) return;
  await announce(
    session,
    { kind: 'cancel', deployment, service, sequence },
    dates(session, LONGEST_EXPIRY_MS),
  );
}

/** Of those that have switched, who is not there any more, or not on the version, or down. */
export async function unwellOf(
  session: Session,
  { service, version }: DeploymentRecord,
  at: readonly string[],
): Promise<string[]> {
  const answers = await rollCall(session, { service, known: at, waitMs: LOOK_MS });
  return at.filter((instance) => {
    const said = answers
      .find((answer) => answer.instance === instance)
      ?.services.find((one) => one.service === service);
    return said?.version !== version || said.active === false;
  });
}
