import { isCode } from '../../shared/errors.ts';
import { type ExitCode, note } from '../events.ts';
import { acquireLock } from '../queue/acquire.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { ReportReader, StoredDeployment } from '../record/deployments.ts';
import type { Lock } from '../record/held-lock.ts';
import { DETACHED, emitStarted, repeatRollBack, rollBackIfDue } from '../rollout/all-at-once.ts';
import { cancelledBy } from '../rollout/decisions.ts';
import { follow, openProgress, type Progress } from '../rollout/follow.ts';
import { openStages, type Stages, whatItWaitsFor } from '../rollout/observed-waves.ts';
import {
  isFinal,
  isRollBackLeft,
  lastEndingMs,
  recordOutcome,
  settledEvent,
  verdictOn,
} from '../rollout/record-outcome.ts';
import type { Settlement } from '../rollout/settle.ts';
import { callOff } from '../rollout/wave-announcements.ts';
import type { Session } from '../session.ts';

export interface WatchOptions {
  /** The deployment's id. */
  deployment: string;
  /** How long to watch, ms. */
  timeoutMs: number;
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/** How often the record is read, ms: a watch has no reply queue. */
const POLL_MS = 1000;

/**
 * `trigger-deploy watch ID`: shows what the record holds and follows it to its outcome. Where the publisher is
 * gone (no lock is held for it) it settles, and carries out what the settling asks for. A deployment that is
 * over is shown, and its exit code returned.
 * @throws DEPLOYMENT_NOT_FOUND, FENCED, AWS_*.
 */
export async function watch(session: Session, options: WatchOptions): Promise<ExitCode> {
  const { deployments } = session.record;
  const service = await deployments.find(options.deployment);
  const [stored, instances] = await Promise.all([
    deployments.read(service, options.deployment),
    deployments.instances(service),
  ]);
  const record = stored.value;
  emitStarted(session, record, instances, 'watched');
  const progress = openProgress(session, record, () => session.clock.now() - Date.parse(record.announcedAt));
  const read = deployments.reportReader(service, record.deployment);
  const until = session.clock.monotonic() + options.timeoutMs;
  const stage = { session, options, progress, read, until, stages: openStages(session) };
  for (const report of await read()) progress.hear(report);
  return isFinal(record) ? await finish(stage, stored) : await followRecord(stage, stored);
}

interface Stage {
  session: Session;
  options: WatchOptions;
  progress: Progress;
  read: ReportReader;
  stages: Stages;
  /** When the watching ends, on the monotonic clock. */
  until: number;
}

async function followRecord(stage: Stage, first: StoredDeployment): Promise<ExitCode> {
  const { session, progress, options } = stage;
  const announced = Date.parse(first.value.announcedAt);
  const elapsed = () => session.clock.now() - announced;
  // The time this watch has, and not the one its publisher had, ends the waiting.
  const timeoutMs = Math.max(1, elapsed() + stage.until - session.clock.monotonic());
  const record = { ...first.value, policy: { ...first.value.policy, timeoutMs } };
  let latest = first;
  let undriven = false;
  await stage.stages.see(first.value);
  const settlement = await follow(session, {
    record,
    progress,
    read: stage.read,
    pollMs: POLL_MS,
    elapsed,
    async enough() {
      // Looking at the lock from the beginning shortens the wait for a dead publisher's.
      const lock = await session.record.locks.look(record.service).catch(() => undefined);
      latest = await reread(stage, latest);
      // What goes in waves goes nowhere without its publisher, and is not for a watch to drive.
      undriven = record.rolling !== undefined && lock !== undefined && lock.state !== 'held';
      return isFinal(latest.value) || undriven;
    },
    detach: options.detach,
    abort: session.signal,
  });
  if (isFinal(latest.value)) return await finish(stage, latest);
  if (undriven) return await undrivenNow(stage, latest);
  if (settlement === undefined) return detached(session, record);
  return await settleWhenFree(stage, latest, settlement);
}

/** What cannot be read now is as it was; what is new is told. */
async function reread({ session, stages }: Stage, stored: StoredDeployment): Promise<StoredDeployment> {
  const { service, deployment } = stored.value;
  const latest = await session.record.deployments.read(service, deployment).catch(() => stored);
  await stages.see(latest.value);
  return latest;
}

/** All have ended, or the time is up: leaves the settling to a publisher that lives, else settles. */
async function settleWhenFree(
  stage: Stage,
  stored: StoredDeployment,
  settlement: Settlement,
): Promise<ExitCode> {
  const { session } = stage;
  const { service, deployment } = stored.value;
  for (let latest = stored; ; latest = await reread(stage, latest)) {
    if (isFinal(latest.value)) return await finish(stage, latest);
    const lock = await session.record.locks.look(service);
    const lives = lock.state === 'held' && lock.owner?.deployment === deployment ? lock.owner : undefined;
    if (lives === undefined) return await underLock(stage, latest, settlement);
    if (session.clock.monotonic() >= stage.until) {
      return unsettled(session, latest.value, settlement, whatItWaitsFor(latest.value, lives.who));
    }
    if (await isDetached(stage)) return detached(session, latest.value);
  }
}

/** Waits until the record is worth another look; true when Ctrl-C came first. */
async function isDetached({ session, options: { detach } }: Stage): Promise<boolean> {
  try {
    await session.clock.sleep(POLL_MS, AbortSignal.any([session.signal, detach]));
  } catch (error) {
    if (!detach.aborted) throw error;
  }
  return detach.aborted;
}

/** Another deployment's lock means that this one's outcome is no longer ours to write: it is only shown. */
async function underLock(stage: Stage, stored: StoredDeployment, settlement: Settlement): Promise<ExitCode> {
  const { session, options } = stage;
  const { service, deployment } = stored.value;
  let lock: Lock;
  try {
    lock = await acquireLock(session, { service, command: 'watch', deployment, detach: options.detach });
  } catch (error) {
    if (isCode(error, 'LOCKED')) {
      return isFinal(stored.value)
        ? shown(session, stored.value)
        : unsettled(session, stored.value, settlement);
    }
    if (isCode(error, 'CANCELLED')) return detached(session, stored.value);
    throw error;
  }
  try {
    return await settleHere(stage, lock, service);
  } finally {
    await lock.release();
  }
}

/** Under the lock and by the record as it is now: whoever held the lock before may have settled it. */
async function settleHere(stage: Stage, lock: Lock, service: string): Promise<ExitCode> {
  const { session, options, progress } = stage;
  const { deployments } = session.record;
  const [stored, newest, reports] = await Promise.all([
    deployments.read(service, options.deployment),
    deployments.newest(service),
    stage.read(),
  ]);
  for (const report of reports) progress.hear(report);
  const overtaken = newest !== undefined && newest.value.deployment !== options.deployment;
  const over = isFinal(stored.value);
  const settled = over ? stored : await settleNow(stage, stored, overtaken);
  session.emit(settledEvent(session, settled.value, over || undefined));
  const onwards = { wait: true, detach: options.detach };
  if (!overtaken) return await rollBackIfDue(session, lock, settled, onwards);
  if (isRollBackLeft(settled.value, newest.value)) {
    return await repeatRollBack(session, lock, settled, newest, onwards);
  }
  return settled.value.exitCode ?? 3;
}

async function settleNow(
  { session, progress }: Stage,
  stored: StoredDeployment,
  overtaken: boolean,
): Promise<StoredDeployment> {
  const by = await cancelledBy(session, stored.value);
  const settlement = verdictOn(stored.value, progress.reports, by);
  if (by !== undefined) await callOff({ session }, stored.value, settlement);
  const tookMs = () => lastEndingMs(stored.value, progress.reports.values());
  return await recordOutcome(session, stored, settlement, { reports: progress.reports, tookMs }, overtaken);
}

/**
 * Over: shown as it stands. A rollback that its publisher did not live to begin is begun now, one that it did not see the
 * end of is announced again; while that publisher may live it is waited for.
 */
async function finish(stage: Stage, stored: StoredDeployment): Promise<ExitCode> {
  const { session } = stage;
  const { deployments, locks } = session.record;
  const { service, rollBackTo } = stored.value;
  let told = false;
  for (let latest = stored; rollBackTo !== undefined; latest = await reread(stage, latest)) {
    const newest = (await deployments.newest(service))?.value;
    if (newest === undefined || !isRollBackLeft(latest.value, newest)) return shown(session, latest.value);
    const { state, owner } = await locks.look(service);
    if (state !== 'held') {
      return await underLock(stage, latest, verdictOn(latest.value, stage.progress.reports));
    }
    if (!told) note(session, `${owner?.who} rolls back to ${rollBackTo}: waiting for the end of it`);
    told = true;
    if (session.clock.monotonic() >= stage.until) return shown(session, latest.value);
    if (await isDetached(stage)) return detached(session, latest.value);
  }
  return shown(session, stored.value);
}

function shown(session: Session, record: DeploymentRecord): ExitCode {
  session.emit(settledEvent(session, record, true));
  return record.exitCode ?? 3;
}

function unsettled(
  session: Session,
  record: DeploymentRecord,
  settlement: Settlement,
  why = 'not settled here, another publisher holds the lock',
): ExitCode {
  session.emit({
    type: 'settled',
    at: session.clock.now(),
    deployment: record.deployment,
    outcome: settlement.outcome,
    exitCode: settlement.exitCode,
    counts: settlement.counts,
    silent: settlement.silent,
    text: `${settlement.text}; ${why}`,
    tookMs: 0,
    shown: true,
  });
  return settlement.exitCode;
}

/** Its publisher died, or was detached: settled where somebody called it off, else how it stands, and who may go on. */
async function undrivenNow(stage: Stage, stored: StoredDeployment): Promise<ExitCode> {
  const { session, progress } = stage;
  const record = stored.value;
  const by = await cancelledBy(session, record);
  const settlement = verdictOn(record, progress.reports, by);
  if (by !== undefined) return await underLock(stage, stored, settlement);
  const text = `${settlement.text}; nobody drives it: trigger-deploy resume ${record.deployment} --env ${record.env}`;
  const { counts, silent } = settlement;
  session.emit({
    ...{ type: 'settled', at: session.clock.now(), deployment: record.deployment },
    ...{ outcome: 'timed-out', exitCode: 3, counts, silent, text, tookMs: 0, shown: true },
  });
  return 3;
}

function detached(session: Session, record: DeploymentRecord): ExitCode {
  const text = `no longer watched: trigger-deploy watch ${record.deployment} --env ${record.env} follows it again`;
  note(session, text);
  return DETACHED;
}
