import type { Report } from '../../shared/report.ts';
import type { Forgetting } from '../fleet/forgetting.ts';
import type { Checked } from '../record/check-schema.ts';
import type { DeploymentRecord, Rolling } from '../record/deployment-schema.ts';
import { nonce } from '../record/objects.ts';
import type { Pause } from '../record/pauses.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { AlarmWatch } from './alarm-watch.ts';
import { emitCheckChanges } from './check-events.ts';
import { type Decisions, deciderText } from './decisions.ts';
import type { Progress } from './follow.ts';
import { lookForGone } from './look-for-gone.ts';
import {
  type Facts,
  hasEnded,
  isReady,
  nextStep,
  type Phase,
  type RollingRecord,
  type Step,
} from './next-step.ts';
import type { RetryOutage } from './retry-outage.ts';
import { REPEAT_MS, type Settlement } from './settle.ts';
import { otherVerify, startVerify, type Verifying } from './verify-run.ts';
import { announcePhase, type Caller, findUnwell } from './wave-announcements.ts';
import { emitWaveChanges, isAwaiting } from './wave-events.ts';

/** The loop of a rolling deployment: it takes the step that `next-step.ts` decides, until that step is `end`. */

/** How often the next step is decided while no report comes, ms. */
const TICK_MS = 250;
/**
 * Each so many repetitions also ask the instances that have answered but not finished the phase: their later replies may
 * be lost, and an older agent writes only the first and the last of its reports to the record.
 */
const ASK_ALL_EVERY = 4;
/** How long instances have to answer until it is looked which of them are gone, ms. */
const SILENT_MS = 5000;

/** What the loop works with. */
export interface WaveRun {
  caller: Caller;
  progress: Progress;
  /** Decisions and pause when the record was read last. */
  seen: Readonly<{ decisions: Decisions; pause: Pause | undefined }>;
  /** Reads reports, decisions and the pause from the record, into `progress` and `seen`. */
  readRecord: () => Promise<void>;
  /** The alarms; undefined when the deployment has none. */
  alarms: AlarmWatch | undefined;
  stop: AbortSignal;
  forgetting: Forgetting;
  retryOutage: RetryOutage;
  /** Asks the person at the terminal whether to continue. The caller aborts the result to end the question. */
  confirm: (stored: StoredDeployment) => AbortController;
}

/** This publisher's announcement of the current phase: when it was first and last made (ms, monotonic clock). */
interface Announced {
  phase: Phase;
  targets: readonly string[];
  first: number;
  last: number;
  /** How often it was repeated. */
  repeats: number;
}

/** The progress of the loop, in memory only: another publisher continues from the record. */
interface Position {
  stored: StoredDeployment;
  announced?: Announced | undefined;
  /** Switched instances that no longer run the version, are down or do not answer; undefined before they were asked. */
  unwell?: string[] | undefined;
  asking?: AbortController | undefined;
  /** Whether the record was read since the last step. */
  fresh: boolean;
  /** A write whose answer may be lost: it is repeated with the same nonce, and succeeds if it is already stored. */
  writing?:
    | (Pick<DeploymentRecord, 'forgotten'> & { rolling: Rolling; checked?: Checked; nonce: string })
    | undefined;
  /** The last `verify` that this publisher started. */
  verifying?: Verifying | undefined;
}

/**
 * Runs a rolling deployment from its record to its settlement. Every step is safe to repeat: it is recorded before it
 * is taken, and agents treat a repeated announcement as a duplicate.
 * @throws the reason of `run.stop` after it aborts; FENCED; AWS_*; TOPIC_NOT_FOUND.
 */
export async function runWaves(
  run: WaveRun,
  first: StoredDeployment,
): Promise<{ stored: StoredDeployment; settlement: Settlement }> {
  const position: Position = { stored: first, fresh: false };
  try {
    await run.retryOutage(run.readRecord);
    for (;;) {
      run.alarms?.assertRunning();
      const settlement = await run.retryOutage(() => advance(run, position));
      if (settlement !== undefined) return { stored: position.stored, settlement };
    }
  } finally {
    endQuestion(position);
    await position.verifying?.stop();
  }
}

/** Ends the question at the terminal. */
function endQuestion(position: Position): void {
  position.asking?.abort();
  position.asking = undefined;
}

/** Takes one step; returns the settlement at the end. */
async function advance(run: WaveRun, position: Position): Promise<Settlement | undefined> {
  run.stop.throwIfAborted();
  let step = stepOf(run, position);
  // The record is read again before the end and before a phase starts: it may hold a new report, cancel or pause.
  if (!position.fresh && (step.do === 'end' || startsWave(position.stored.value, step))) {
    await run.readRecord();
    run.stop.throwIfAborted();
    position.fresh = true;
    step = stepOf(run, position);
  }
  if (step.do === 'end') return step.settlement;
  position.fresh = false;
  if (step.do === 'record') await writeStep(run, position, step);
  else if (step.do === 'verify') {
    const about = { record: position.stored.value, phase: step.phase, reports: run.progress.reports };
    position.verifying = startVerify(run.caller.session, about);
  } else if (step.do === 'announce') await announceFirst(run, position, step);
  else if (step.do === 'look') {
    position.unwell = await findUnwell(run.caller.session, position.stored.value, step.at);
  } else {
    if (step.ask) run.alarms?.hurry();
    await wait(run, position);
  }
  return undefined;
}

function stepOf(run: WaveRun, position: Position): Step {
  const { caller, progress, seen, alarms } = run;
  const { stored, announced, unwell, writing, verifying } = position;
  if (writing) return { do: 'record', ...writing };
  const { clock } = caller.session;
  const facts: Facts = {
    now: clock.now(),
    reports: progress.reports,
    sinceAnnounced: announced && clock.monotonic() - announced.first,
    confirmedBy: seen.decisions.confirm?.by,
    cancelledBy: seen.decisions.cancel && deciderText(seen.decisions.cancel),
    paused: seen.pause !== undefined,
    forgotten: run.forgetting.found,
    unwell,
    alarms: alarms?.facts(),
    verify: verifying?.run,
    otherVerify: otherVerify(caller.session, stored.value),
  };
  return nextStep(rollingRecord(stored.value), facts);
}

async function writeStep(
  { caller, forgetting }: WaveRun,
  position: Position,
  { rolling, checked }: { rolling: Rolling; checked?: Checked },
): Promise<void> {
  const { session } = caller;
  const { rolling: before, checked: checkedBefore } = rollingRecord(position.stored.value);
  const { found } = forgetting;
  const also = { ...(checked && { checked }), ...(found.length > 0 && { forgotten: [...found] }) };
  position.writing ??= { rolling, ...also, nonce: nonce() };
  position.stored = await session.record.deployments.update(position.stored, position.writing);
  position.writing = undefined;
  // At once: a late `n` must not cancel a deployment that was already confirmed, however long the next step takes.
  if (!isAwaiting(position.stored.value)) endQuestion(position);
  emitWaveChanges(session, position.stored.value, before, rolling);
  emitCheckChanges(session, position.stored.value, checkedBefore);
  // Each recorded step ends a phase or starts the next: the announcement of the old phase no longer counts.
  position.announced = undefined;
}

async function announceFirst(
  { caller }: WaveRun,
  position: Position,
  { phase, targets }: Extract<Step, { do: 'announce' }>,
): Promise<void> {
  const now = caller.session.clock.monotonic();
  await announcePhase(caller, position.stored.value, phase, targets);
  position.announced = { phase, targets, first: now, last: now, repeats: 0 };
}

/** Waits for the next report, for `TICK_MS` at most. Before that, asks at the terminal and repeats the announcement. */
async function wait(run: WaveRun, position: Position): Promise<void> {
  const { progress, stop, seen, caller } = run;
  const { clock } = caller.session;
  if (isAwaiting(position.stored.value)) position.asking ??= run.confirm(position.stored);
  // While the service is paused nothing is announced again, so no instance is late: the timeout starts again.
  if (position.announced && seen.pause) {
    const now = clock.monotonic();
    position.announced = { ...position.announced, first: now, last: now };
  }
  if (position.announced) {
    await repeatAnnouncement(run, position.stored.value, position.announced);
    await lookAtSilence(run, position.stored.value, position.announced);
  }
  await progress.nextReport(stop, { clock, ms: TICK_MS });
}

async function repeatAnnouncement(
  { caller, progress }: WaveRun,
  record: DeploymentRecord,
  announced: Announced,
): Promise<void> {
  const { clock } = caller.session;
  if (clock.monotonic() - announced.last < REPEAT_MS) return;
  const { phase, targets } = announced;
  announced.repeats += 1;
  const isOpen = announced.repeats % ASK_ALL_EVERY === 0 ? hasNotFinished : hasNotAnswered;
  const asked = targets.filter((instance) => isOpen(progress.reports.get(instance), phase));
  // Before the announcement: a failed one must not be repeated at each tick.
  announced.last = clock.monotonic();
  if (asked.length > 0) await announcePhase(caller, record, phase, asked);
}

/** Once instances have had the time to answer. An instance that only prepares may take long: it has a report. */
async function lookAtSilence(
  { caller: { session }, progress, forgetting }: WaveRun,
  { deployment }: DeploymentRecord,
  { phase, targets, first }: Announced,
): Promise<void> {
  if (session.clock.monotonic() - first < SILENT_MS) return;
  const open = targets.filter((instance) => hasNotFinished(progress.reports.get(instance), phase));
  const others = new Set(open);
  const gone = forgetting.found.map(({ instance }) => instance).filter((one) => !others.has(one));
  await lookForGone(session, forgetting, {
    deployment,
    targets: [...open, ...gone],
    reports: progress.reports,
  });
}

function rollingRecord(record: DeploymentRecord): RollingRecord {
  const { rolling } = record;
  if (rolling === undefined) throw new Error('not a rolling deployment');
  return { ...record, rolling };
}

/** Whether the step starts a wave or announces a phase. */
function startsWave({ rolling }: DeploymentRecord, step: Step): boolean {
  if (step.do !== 'record') return step.do === 'announce';
  const started = (waves: Rolling['waves']) => waves.filter((wave) => wave.announcedAt).length;
  return started(step.rolling.waves) > started(rolling?.waves ?? []);
}

/** Whether the instance has not answered the announcement of this phase. */
const hasNotAnswered = (report: Report | undefined, phase: Phase) =>
  report === undefined || (phase.name === 'wave' && report.state === 'prepared');

/** Whether the instance has not done what this phase announces: it prepares, or ends. */
const hasNotFinished = (report: Report | undefined, phase: Phase) =>
  phase.name === 'prepare' ? !isReady(report) && !hasEnded(report) : !hasEnded(report);
