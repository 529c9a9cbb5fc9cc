import { type ExitCode, note } from '../events.ts';
import { announce } from '../messaging/announce.ts';
import { openReplyQueue, type ReplyQueue } from '../messaging/reply-queue.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { StoredDeployment } from '../record/deployments.ts';
import type { Lock } from '../record/held-lock.ts';
import type { Session } from '../session.ts';
import { changeAnnouncement } from './announcements.ts';
import { recordingFailure } from './create-record.ts';
import { DETACHED, type Driving, type Ended, type Output, type WhenSettled } from './driving.ts';
import { follow, openProgress } from './follow.ts';
import { recordOutcome, settledEvent } from './record-outcome.ts';

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
  const { deployments } = session.record;
  const record = stored.value;
  const replies = await recordingFailure(
    deployments,
    stored,
    async () => (driving.wait ? await openReplyQueue(session, lock) : undefined),
    // The desired state that is written first is an announcement, too.
    { announces: record.desiredFirst },
  );
  try {
    await recordingFailure(deployments, stored, async () => {
      lock.lost.throwIfAborted();
      const body = changeAnnouncement(record, {
        ...{ kind: 'deploy', targets: record.targets, replyTo: replies?.name },
      });
      await announce(session, body, { issuedAt: record.announcedAt, expiresAt: record.expiresAt });
    });
    if (replies === undefined) return leave(session, record, 'announced; not waiting for the outcome', 0);
    const ended = await followToEnd(session, lock, stored, replies, driving.detach);
    if (ended.settled) await whenSettled?.(ended.settled);
    return ended;
  } finally {
    await replies?.close();
  }
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
  const settlement = await follow(session, {
    record,
    progress,
    replies,
    read: session.record.deployments.reportReader(record.service, record.deployment),
    pollMs: POLL_MS,
    elapsed,
    detach,
    abort: AbortSignal.any([session.signal, lock.lost]),
  });
  if (settlement === undefined) {
    return leave(session, record, 'detached; the deployment continues', DETACHED);
  }
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
