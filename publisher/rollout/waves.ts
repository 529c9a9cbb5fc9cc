import { messageOf } from '../../shared/errors.ts';
import { note } from '../events.ts';
import { openForgetting } from '../fleet/forgetting.ts';
import { openReplyQueue, type ReplyQueue } from '../messaging/reply-queue.ts';
import { whenCancelled } from '../plan/rollback-policy.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Lock } from '../record/held-lock.ts';
import type { Pause } from '../record/pauses.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { watchAlarms } from './alarm-watch.ts';
import { type Decisions, decide, readDecisions } from './decisions.ts';
import { DETACHED, type Driving, type Ended, type WhenSettled } from './driving.ts';
import { hearing, openProgress } from './follow.ts';
import { movesDesired, recordOutcome, settledEvent } from './record-outcome.ts';
import { openRetryOutage } from './retry-outage.ts';
import type { Settlement } from './settle.ts';
import { announceCancelled, type Caller } from './wave-announcements.ts';
import { emitPauseChange } from './wave-events.ts';
import { runWaves, type WaveRun } from './wave-loop.ts';

/** Drives a rolling deployment from its record to its end: opens what the wave loop needs, and writes the outcome. */

/** How often the record is read beside the reply queue, ms. */
const POLL_MS = 2000;

/**
 * Drives a rolling deployment. It continues from the record, where an earlier publisher may have stopped. After Ctrl-C
 * the current wave continues on its instances, and no further wave starts. The caller holds the lock.
 * @throws FENCED when the lock was lost; AWS_*; TOPIC_NOT_FOUND.
 */
export async function driveWaves(
  session: Session,
  lock: Lock,
  stored: StoredDeployment,
  driving: Driving,
  whenSettled: WhenSettled,
): Promise<Ended> {
  const replies = await openReplies(session, lock, stored.value, driving.detach);
  if (replies === undefined) return leave(session, stored.value);
  try {
    const settled = await driveToSettlement({ session, lock, replies }, stored, driving);
    if (settled === undefined) return leave(session, stored.value);
    session.emit(settledEvent(session.clock, settled.value));
    await whenSettled(settled);
    return { exitCode: settled.value.exitCode ?? 1, settled };
  } finally {
    await replies.close();
  }
}

/** Opens the reply queue, through an outage too. Returns undefined when detached. */
async function openReplies(
  session: Session,
  lock: Lock,
  record: DeploymentRecord,
  detach: AbortSignal,
): Promise<ReplyQueue | undefined> {
  const stop = AbortSignal.any([session.signal, lock.lost, detach]);
  try {
    const retryOutage = openRetryOutage(session, record.policy.timeoutMs, stop);
    return await retryOutage(() => openReplyQueue(session, lock, { service: record.service }));
  } catch (error) {
    if (detach.aborted) return undefined;
    noteStopped(session, record);
    throw error;
  }
}

/** Runs the wave loop and writes the outcome. Returns the settled record; undefined when detached. */
async function driveToSettlement(
  caller: Caller,
  first: StoredDeployment,
  { detach, gate }: Driving,
): Promise<StoredDeployment | undefined> {
  const { session, lock, replies } = caller;
  const { service, deployment, announcedAt, policy } = first.value;
  const progress = openProgress(session, first.value, () => session.clock.now() - Date.parse(announcedAt));
  if (movesDesired(first.value)) void session.record.desired.readAhead();
  const abort = AbortSignal.any([session.signal, lock.lost]);
  const over = new AbortController();
  const stop = AbortSignal.any([abort, detach, over.signal]);
  const readReports = session.record.deployments.reportReader(service, deployment);
  const seen: { decisions: Decisions; pause: Pause | undefined } = { decisions: {}, pause: undefined };
  const heard = new Set<string>();
  const readRecord = async () => {
    for (const report of await readReports(heard)) progress.add(report);
    seen.decisions = await readDecisions(session, first);
    const pause = await session.record.pauses.of(service);
    emitPauseChange(session, service, seen.pause, pause);
    seen.pause = pause;
  };
  const retryOutage = openRetryOutage(session, policy.timeoutMs, stop);
  const alarms = watchAlarms(session, first.value, { retryOutage, stop });
  const run: WaveRun = {
    ...{ caller, progress, seen, readRecord, stop, retryOutage, alarms },
    forgetting: openForgetting(session, service, first.value.forgotten),
    confirm: (stored) => confirmAtTerminal(session, stored, { gate, readRecord, stop }),
  };
  const listening = replies.listen(hearing(progress, heard), stop);
  const polling = poll(session, readRecord, stop);
  try {
    const { stored, settlement } = await runWaves(run, first);
    return await settle(run, stored, settlement);
  } catch (error) {
    if (abort.aborted) throw abort.reason;
    if (detach.aborted) return undefined;
    noteStopped(session, first.value);
    throw error;
  } finally {
    over.abort();
    await Promise.allSettled([listening, polling, alarms?.ended]);
  }
}

async function poll(
  { clock }: Pick<Session, 'clock'>,
  readRecord: () => Promise<void>,
  stop: AbortSignal,
): Promise<void> {
  while (!stop.aborted) {
    await clock.sleep(POLL_MS, stop).catch(() => undefined);
    // A failed read is ignored, and the next poll reads again: only elapsed time makes an instance count as silent.
    if (!stop.aborted) await readRecord().catch(() => undefined);
  }
}

/**
 * Announces the cancellation if the deployment did not succeed (see `announceCancelled`), then writes the outcome. A
 * try without an answer from S3 may have stored the outcome, so each further try reads the record first.
 */
async function settle(
  { caller, progress, retryOutage }: WaveRun,
  stored: StoredDeployment,
  settlement: Settlement,
): Promise<StoredDeployment> {
  const { session } = caller;
  const { service, deployment } = stored.value;
  if (settlement.outcome !== 'succeeded') {
    await retryOutage(() => announceCancelled(session, stored.value, settlement));
  }
  let tried = false;
  return await retryOutage(async () => {
    const found = tried ? await session.record.deployments.read(service, deployment) : stored;
    tried = true;
    if (found.etag !== stored.etag && found.value.status !== 'announced') return found;
    return await recordOutcome(session, stored, settlement, progress);
  });
}

interface Terminal {
  gate: Driving['gate'];
  readRecord: () => Promise<void>;
  stop: AbortSignal;
}

/**
 * Asks the person at the terminal. The answer is recorded like those of the commands `confirm` and `cancel`. The caller
 * aborts the result to end the question.
 */
function confirmAtTerminal(
  session: Session,
  stored: StoredDeployment,
  { gate, readRecord, stop }: Terminal,
): AbortController {
  const ended = new AbortController();
  // Nobody at a terminal is verified: a `y` would be refused.
  if (gate === undefined || stored.value.rolling?.confirm === 'other') return ended;
  const answered = gate(ended.signal);
  note(session, `y: continue   n: cancel (${whenCancelled(stored.value)})   Ctrl-C: leave it waiting`);
  const warn = (error: unknown) => {
    // Not a failure: this publisher stops.
    if (stop.aborted) return;
    note(session, `the answer could not be recorded: ${messageOf(error)}`, 'warning');
  };
  answered.then(
    async (yes) => {
      try {
        await decide(session, stored, yes ? 'confirm' : 'cancel');
        await readRecord();
      } catch (error) {
        warn(error);
      }
    },
    (error: unknown) => {
      // Not a failure: the question ended without an answer.
      if (!ended.signal.aborted) warn(error);
    },
  );
  return ended;
}

function leave(session: Session, record: DeploymentRecord): Ended {
  const text = `detached: the current wave continues, no further wave starts; to continue: ${resumeCommand(record)}`;
  note(session, text);
  return { exitCode: DETACHED };
}

function noteStopped(session: Session, record: DeploymentRecord): void {
  note(session, `this publisher has stopped; to continue: ${resumeCommand(record)}`, 'warning');
}

const resumeCommand = ({ deployment, env }: DeploymentRecord) =>
  `trigger-deploy resume ${deployment} --env ${env}`;
