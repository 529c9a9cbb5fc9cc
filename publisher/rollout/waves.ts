import { messageOf } from '../../shared/errors.ts';
import { type ExitCode, note } from '../events.ts';
import { openReplyQueue } from '../messaging/reply-queue.ts';
import { whenCalledOff } from '../plan/rollback-policy.ts';
import type { Ticket } from '../queue/ticket.ts';
import type { DeploymentRecord, Rolling } from '../record/deployment-schema.ts';
import type { StoredDeployment } from '../record/deployments.ts';
import type { Lock } from '../record/held-lock.ts';
import { nonce } from '../record/objects.ts';
import type { Pause } from '../record/pauses.ts';
import type { Session } from '../session.ts';
import {
  type Change,
  type Conduct,
  DETACHED,
  emitStarted,
  rollBackIfDue,
  writeRecord,
} from './all-at-once.ts';
import { type Decisions, decide, readDecisions } from './decisions.ts';
import { openProgress, type Progress } from './follow.ts';
import { type Facts, nextStep, type Phase, type Step } from './next-step.ts';
import { recordOutcome, settledEvent } from './record-outcome.ts';
import { openPatience, type Patience } from './retry-outage.ts';
import type { Settlement } from './settle.ts';
import { announcePhase, type Caller, callOff, unwellOf } from './wave-announcements.ts';
import { isAwaiting, tell, tellOfPause } from './wave-events.ts';

/** Drives a deployment in waves: does what `next-step.ts` says comes next, until it says that it has ended. */

/** How often the record is read beside the reply queue, ms. */
const POLL_MS = 2000;
/** How often it is asked what comes next while nothing is heard, ms. */
const TICK_MS = 250;
/** Whoever has not answered by then is told once more: a message may be lost, an agent just starting, ms. */
const REPEAT_MS = 7000;

export interface WavesConduct extends Pick<Conduct, 'policy' | 'detach'> {
  /** What the person at the terminal says, until `signal` aborts. Absent where nobody sits. */
  ask?: ((signal: AbortSignal) => Promise<boolean>) | undefined;
}

/**
 * Begins a deployment in the waves of `rolling`, under the lock, and drives it to its end.
 * @throws FENCED when the lock was lost, AWS_*, TOPIC_NOT_FOUND.
 */
export async function rollWaves(
  session: Session,
  ticket: Ticket,
  change: Change,
  conduct: WavesConduct,
  rolling: Rolling,
): Promise<ExitCode> {
  const whole: Conduct = { ...conduct, wait: true, desiredFirst: false };
  const { stored, instances } = await writeRecord(session, ticket, change, whole, rolling);
  emitStarted(session, stored.value, instances);
  return await driveWaves(session, ticket.lock, stored, conduct);
}

/**
 * Goes on from the record, wherever whoever drove it before has stopped; under the lock. With Ctrl-C the wave under
 * way goes on by itself, and nothing follows it.
 */
export async function driveWaves(
  session: Session,
  lock: Lock,
  stored: StoredDeployment,
  conduct: WavesConduct,
): Promise<ExitCode> {
  const replies = await openReplyQueue(session);
  try {
    const settled = await driveToItsEnd({ session, lock, conduct, replies }, stored);
    if (settled === undefined) return leave(session, stored.value);
    session.emit(settledEvent(session, settled.value));
    return await rollBackIfDue(session, lock, settled, { wait: true, detach: conduct.detach });
  } finally {
    await replies.close();
  }
}

interface Stage extends Caller {
  conduct: WavesConduct;
}

async function driveToItsEnd(stage: Stage, first: StoredDeployment): Promise<StoredDeployment | undefined> {
  const { session, lock, conduct, replies } = stage;
  const { service, deployment, announcedAt } = first.value;
  const progress = openProgress(session, first.value, () => session.clock.now() - Date.parse(announcedAt));
  const abort = AbortSignal.any([session.signal, lock.lost]);
  const over = new AbortController();
  const stop = AbortSignal.any([abort, conduct.detach, over.signal]);
  const read = session.record.deployments.reportReader(service, deployment);
  const heard: Heard = { decisions: {}, pause: undefined };
  const look = async () => {
    for (const report of await read()) progress.hear(report);
    heard.decisions = await readDecisions(session, service, deployment);
    const pause = await session.record.pauses.of(service);
    tellOfPause(session, service, heard.pause, pause);
    heard.pause = pause;
  };
  const listening = replies.listen((said) => {
    if (said.kind === 'report') progress.hear(said);
  }, stop);
  const polling = poll(session, look, stop);
  const patience = openPatience(session, conduct.policy.timeoutMs, stop);
  const hearing: Hearing = { progress, heard, look, stop, patience };
  try {
    return await conclude(stage, await walk(stage, first, hearing), hearing);
  } catch (error) {
    if (abort.aborted) throw abort.reason;
    if (conduct.detach.aborted) return undefined;
    const text = `nobody drives ${deployment} now: trigger-deploy resume ${deployment} --env ${session.env.name} goes on`;
    note(session, text, 'warning');
    throw error;
  } finally {
    over.abort();
    await Promise.allSettled([listening, polling]);
  }
}

async function poll(session: Session, look: () => Promise<void>, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    await session.clock.sleep(POLL_MS, stop).catch(() => undefined);
    // What cannot be read now is read at the next turn: only time decides that an instance is silent.
    if (!stop.aborted) await look().catch(() => undefined);
  }
}

interface Heard {
  decisions: Decisions;
  pause: Pause | undefined;
}

interface Hearing {
  progress: Progress;
  heard: Heard;
  /** Reads the record now. */
  look: () => Promise<void>;
  stop: AbortSignal;
  patience: Patience;
}

/** Each turn can be made again: a step is written before it is taken, and told twice it is a duplicate. */
async function walk(
  stage: Stage,
  first: StoredDeployment,
  hearing: Hearing,
): Promise<{ stored: StoredDeployment; settlement: Settlement }> {
  const { progress, heard, look, stop, patience } = hearing;
  const { session } = stage;
  const { clock } = session;
  let stored = first;
  /** The phase under way, once this publisher has announced it: when, and when last, on the monotonic clock. */
  let announced: { phase: Phase; targets: readonly string[]; first: number; last: number } | undefined;
  let unwell: string[] | undefined;
  let asking: AbortController | undefined;
  let looked = false;
  /** Being written: without an answer of S3 it may be there, and only the very same finds itself. */
  let writing: { rolling: Rolling; nonce: string } | undefined;
  const facts = (): Facts => ({
    now: clock.now(),
    reports: progress.reports,
    sinceAnnounced: announced && clock.monotonic() - announced.first,
    confirmedBy: heard.decisions.confirm?.by,
    cancelledBy: heard.decisions.cancel?.by,
    paused: heard.pause !== undefined,
    unwell,
  });
  const turn = async (): Promise<Settlement | undefined> => {
    stop.throwIfAborted();
    const step: Step = writing
      ? { do: 'record', rolling: writing.rolling }
      : nextStep(rollingOf(stored.value), facts());
    // Once more by the truth, before a verdict, and before a wave that somebody may have paused.
    if (!looked && (step.do === 'end' || beginsWave(stored.value, step))) {
      await look();
      looked = true;
      return await turn();
    }
    if (step.do === 'end') return step.settlement;
    looked = false;
    switch (step.do) {
      case 'record': {
        const before = rollingOf(stored.value).rolling;
        writing ??= { rolling: step.rolling, nonce: nonce() };
        stored = await session.record.deployments.update(stored, writing);
        writing = undefined;
        tell(session, stored.value, before, step.rolling);
        // Nothing that is recorded leaves the phase under way: it has passed, or the next one begins.
        announced = undefined;
        break;
      }
      case 'announce': {
        const now = clock.monotonic();
        await announcePhase(stage, stored.value, step.phase, step.targets);
        announced = { phase: step.phase, targets: step.targets, first: now, last: now };
        break;
      }
      case 'look':
        unwell = await unwellOf(session, stored.value, step.at);
        break;
      case 'wait':
        if (isAwaiting(stored.value)) asking ??= ask(stage, stored.value, hearing);
        // Nobody is told again while it is paused, and so nobody is late: their time begins anew.
        if (announced && heard.pause) {
          announced = { ...announced, first: clock.monotonic(), last: clock.monotonic() };
        }
        if (announced && clock.monotonic() - announced.last >= REPEAT_MS) {
          const { phase, targets } = announced;
          const unheard = targets.filter((instance) => !hasMovedOn(progress, instance, phase));
          if (unheard.length > 0) await announcePhase(stage, stored.value, phase, unheard);
          announced.last = clock.monotonic();
        }
        await progress.newsOr(clock.sleep(TICK_MS, stop).catch(() => undefined));
    }
    return undefined;
  };
  try {
    await patience.repeat(look);
    for (;;) {
      const settlement = await patience.repeat(turn);
      if (settlement !== undefined) return { stored, settlement };
    }
  } finally {
    asking?.abort();
  }
}

/** Writes the verdict down. What it wrote without an answer of S3 it finds there. */
async function conclude(
  stage: Stage,
  { stored, settlement }: { stored: StoredDeployment; settlement: Settlement },
  { progress, patience }: Hearing,
): Promise<StoredDeployment> {
  const { session } = stage;
  const { service, deployment } = stored.value;
  if (settlement.outcome !== 'succeeded') {
    await patience.repeat(() => callOff(stage, stored.value, settlement));
  }
  let again = false;
  return await patience.repeat(async () => {
    const found = again ? await session.record.deployments.read(service, deployment) : stored;
    again = true;
    if (found.etag !== stored.etag && found.value.status !== 'announced') return found;
    return await recordOutcome(session, stored, settlement, progress);
  });
}

function rollingOf(record: DeploymentRecord): DeploymentRecord & { rolling: Rolling } {
  const { rolling } = record;
  if (rolling === undefined) throw new Error('it does not go in waves');
  return { ...record, rolling };
}

/** Whether whoever has not switched is about to be told to. */
function beginsWave({ rolling }: DeploymentRecord, step: Step): boolean {
  if (step.do !== 'record') return step.do === 'announce';
  const begun = (waves: Rolling['waves']) => waves.filter((wave) => wave.announcedAt).length;
  return begun(step.rolling.waves) > begun(rolling?.waves ?? []);
}

/** Whether it has answered this phase. */
function hasMovedOn({ reports }: Progress, instance: string, phase: Phase): boolean {
  const state = reports.get(instance)?.state;
  return phase.name === 'prepare' ? state !== undefined : state !== 'prepared' && state !== undefined;
}

/** Asks at the terminal, once; the answer is written down as one from elsewhere would be. */
function ask({ session, conduct }: Stage, record: DeploymentRecord, hearing: Hearing): AbortController {
  const ended = new AbortController();
  const { service, deployment } = record;
  const answered = conduct.ask?.(ended.signal);
  if (answered) {
    const text = `y goes on, n calls it off: ${whenCalledOff(record)}; Ctrl-C leaves it waiting`;
    note(session, text);
  }
  answered
    ?.then(async (yes) => {
      await decide(session, service, deployment, yes ? 'confirm' : 'cancel');
      await hearing.look();
    })
    .catch((error: unknown) => {
      // Closed, or decided from elsewhere meanwhile.
      if (ended.signal.aborted || hearing.stop.aborted) return;
      const text = `the answer could not be written down: ${messageOf(error)}`;
      note(session, text, 'warning');
    });
  return ended;
}

function leave(session: Session, { deployment, env }: DeploymentRecord): ExitCode {
  const text = `detached: the wave under way goes on, and no other begins; trigger-deploy resume ${deployment} --env ${env} goes on`;
  note(session, text);
  return DETACHED;
}
