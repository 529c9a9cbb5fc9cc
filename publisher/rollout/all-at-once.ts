import { isCode, messageOf } from '../../shared/errors.ts';
import { type ExitCode, note } from '../events.ts';
import { openForgetting } from '../fleet/forgetting.ts';
import { announce, validity } from '../messaging/announce.ts';
import { openReplyQueue, type ReplyQueue } from '../messaging/reply-queue.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Lock } from '../record/held-lock.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { changeAnnouncement } from './announcements.ts';
import { recordingFailure } from './create-record.ts';
import { cancelOf } from './decisions.ts';
import { DETACHED, type Driving, type Ended, type Output, type WhenSettled } from './driving.ts';
import { follow, openProgress, type Progress } from './follow.ts';
import { lookForGone } from './look-for-gone.ts';
import { movesDesired, recordOutcome, settledEvent } from './record-outcome.ts';
import { openRetryOutage } from './retry-outage.ts';
import { named, REPEAT_MS } from './settle.ts';

/** Drives a deployment that goes to all its instances at once. */

/** How often the record is read beside the reply queue, ms. */
const POLL_MS = 3000;

/**
 * Announces the deployment and, if `driving.wait` is set, follows it until it can be settled and settles it. The caller
 * holds the lock.
 * @throws FENCED when the lock was lost; AWS_*; TOPIC_NOT_FOUND.
 */
export async function driveAllAtOnce(
  session: Session,
  lock: Lock,
  stored: StoredDeployment,
  driving: Driving,
  whenSettled?: WhenSettled,
): Promise<Ended> {
  const record = stored.value;
  const stop = AbortSignal.any([session.signal, lock.lost, driving.detach]);
  const retryOutage = openRetryOutage(session, record.policy.timeoutMs, stop);
  const { deployments } = session.record;
  const open = async () =>
    driving.wait
      ? await retryOutage(() => openReplyQueue(session, lock, { service: record.service }))
      : undefined;
  // The desired state that is written first is an announcement, too.
  const replies = await recordingFailure(deployments, stored, open, { announces: record.desiredFirst });
  // What the last try says is not enough: an earlier one may have been sent.
  let mayBeSent = false;
  const send = async () => {
    try {
      await announceDeploy(session, lock, record, { targets: record.targets, replyTo: replies?.name });
    } catch (error) {
      mayBeSent ||= isCode(error, 'AWS_UNREACHABLE', 'INTERRUPTED');
      throw error;
    }
  };
  try {
    try {
      await recordingFailure(deployments, stored, () => retryOutage(send), { mayBeSent: () => mayBeSent });
    } catch (error) {
      if (!mayBeSent) throw error;
      const left = leave(session, record, 'the announcement may have been sent', DETACHED);
      if (driving.detach.aborted) return left;
      throw error;
    }
    if (replies === undefined) return leave(session, record, 'announced; not waiting for the outcome', 0);
    const ended = await followToEnd(session, lock, stored, replies, driving.detach);
    if (ended.settled) await whenSettled?.(ended.settled);
    return ended;
  } finally {
    await replies?.close();
  }
}

async function announceDeploy(
  session: Session,
  lock: Lock,
  record: DeploymentRecord,
  to: { targets: readonly string[] | undefined; replyTo: string | undefined },
): Promise<void> {
  lock.lost.throwIfAborted();
  const body = changeAnnouncement(record, { kind: 'deploy', ...to });
  await announce(session, body, validity(session.clock, record.policy.timeoutMs));
}

/**
 * Announces the deployment again to the instances that do not answer: the first announcement may have been received by
 * the connection of an agent that has ended since. A failure is a warning.
 */
function askAgain(
  session: Session,
  lock: Lock,
  stored: StoredDeployment,
  { replyTo, progress }: { replyTo: string; progress: Progress },
): () => Promise<false> {
  const record = stored.value;
  let last = session.clock.monotonic();
  return async () => {
    const targets = record.expected.filter((instance) => !progress.reports.has(instance));
    if (targets.length === 0 || session.clock.monotonic() - last < REPEAT_MS) return false;
    last = session.clock.monotonic();
    try {
      // An agent that missed the cancellation must not get the deployment instead.
      if ((await cancelOf(session, stored)) === undefined) {
        await announceDeploy(session, lock, record, { targets, replyTo });
      }
    } catch (error) {
      note(session, `${named(targets)} cannot be asked again: ${messageOf(error)}`, 'warning');
    }
    return false;
  };
}

async function followToEnd(
  session: Session,
  lock: Lock,
  stored: StoredDeployment,
  replies: ReplyQueue,
  detach: AbortSignal,
): Promise<Ended> {
  const record = stored.value;
  const announced = session.clock.monotonic();
  const elapsed = () => session.clock.monotonic() - announced;
  const progress = openProgress(session, record, elapsed);
  if (movesDesired(record)) void session.record.desired.readAhead();
  const forgetting = openForgetting(session, record.service, record.forgotten);
  const again = askAgain(session, lock, stored, { replyTo: replies.name, progress });
  const settlement = await follow(session, {
    record,
    forgotten: () => forgetting.found,
    progress,
    replies,
    read: session.record.deployments.reportReader(record.service, record.deployment),
    pollMs: POLL_MS,
    elapsed,
    async afterPoll() {
      await lookForGone(session, forgetting, {
        deployment: record.deployment,
        targets: record.expected,
        reports: progress.reports,
      });
      return await again();
    },
    detach,
    abort: AbortSignal.any([session.signal, lock.lost]),
  });
  if (settlement === undefined) {
    return leave(session, record, 'detached; the deployment continues', DETACHED);
  }
  // Nobody reads it any more, unless a rollback follows: then it is deleted after that.
  if (!settlement.rollBack) void replies.close();
  const settled = await recordOutcome(session, stored, settlement, progress);
  session.emit(settledEvent(session.clock, settled.value));
  return { exitCode: settled.value.exitCode ?? 1, settled };
}

function leave(
  output: Output,
  { deployment, env }: DeploymentRecord,
  why: string,
  exitCode: ExitCode,
): Ended {
  note(output, `${why}: trigger-deploy watch ${deployment} --env ${env} follows it`);
  return { exitCode };
}
