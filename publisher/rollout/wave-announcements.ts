import { LONGEST_EXPIRY_MS } from '../../shared/announcement.ts';
import { note } from '../events.ts';
import { announce, validity } from '../messaging/announce.ts';
import type { ReplyQueue } from '../messaging/reply-queue.ts';
import { rollCall } from '../messaging/roll-call.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Lock } from '../record/held-lock.ts';
import type { Session } from '../session.ts';
import { cancelAnnouncement, changeAnnouncement } from './announcements.ts';
import type { Phase } from './next-step.ts';
import { named, type Settlement, silenceMs } from './settle.ts';

/** The announcements and roll calls of a rolling deployment. All of them are safe to repeat. */

/** How long switched instances have to answer the roll call before they are asked again, ms. */
const ANSWER_MS = 5000;

/** What `announcePhase` needs: the session, the lock of the service, and the queue for the replies. */
export interface Caller {
  session: Session;
  lock: Lock;
  replies: ReplyQueue;
}

/** Announces the phase to `targets`. @throws FENCED when the lock was lost; AWS_*; TOPIC_NOT_FOUND. */
export async function announcePhase(
  { session, lock, replies }: Caller,
  record: DeploymentRecord,
  phase: Phase,
  targets: readonly string[],
): Promise<void> {
  const kind = phase.name === 'prepare' ? 'prepare' : 'deploy';
  lock.lost.throwIfAborted();
  await announce(
    session,
    changeAnnouncement(record, { kind, targets, replyTo: replies.name }),
    validity(session.clock, record.policy.timeoutMs),
  );
}

/**
 * Announces that the deployment is cancelled, so that instances which have not switched drop it. It announces nothing
 * when the deployment timed out, because it can be resumed, or when a rollback follows, because its announcement has a
 * higher sequence. The cancellation is valid for as long as an agent may still receive the announcement to prepare.
 */
export async function announceCancelled(
  session: Session,
  record: DeploymentRecord,
  { outcome, rollBack }: Settlement,
): Promise<void> {
  if (outcome === 'timed-out' || rollBack) return;
  await announce(session, cancelAnnouncement(record), validity(session.clock, LONGEST_EXPIRY_MS));
}

/**
 * Asks the instances `at` what they run; those that do not answer are asked again, until they count as silent. Returns
 * those that do not answer, run another version, or are not active. @throws AWS_*, TOPIC_NOT_FOUND.
 */
export async function findUnwell(
  session: Session,
  { service, version, policy }: DeploymentRecord,
  at: readonly string[],
): Promise<string[]> {
  let isTold = false;
  const answers = await rollCall(session, {
    ...{ service, known: at, waitMs: silenceMs(policy.timeoutMs), askAgainMs: ANSWER_MS },
    onSilence(missing) {
      if (!isTold) note(session, `${named(missing)} did not answer yet; asking again`);
      isTold = true;
    },
  });
  return at.filter((instance) => {
    const found = answers
      .find((answer) => answer.instance === instance)
      ?.services.find((one) => one.service === service);
    return found?.version !== version || found.active === false;
  });
}
