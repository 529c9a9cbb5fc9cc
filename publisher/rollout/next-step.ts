import { isTerminating, type Report } from '../../shared/report.ts';
import { isEnding, ORDER_OF_STATES } from '../../shared/states.ts';
import { whenCancelled, whyNoRollback } from '../plan/rollback-policy.ts';
import { gateBefore, wavesWithout } from '../plan/waves.ts';
import type { DeploymentRecord, Forgotten, Rolling } from '../record/deployment-schema.ts';
import {
  alarmStep,
  type CheckFacts,
  type CheckStep,
  checkAfterLastWave,
  checkAtStart,
  checkBeforeWave,
  checksText,
  hasOpenChecks,
  whyChecksFailed,
} from './next-check.ts';
import { isForgotten, named, type Settlement, silenceMs, tallyOf } from './settle.ts';

/**
 * Decides the next step of a rolling deployment from its record and the reports. Pure, so that a publisher on another
 * machine continues from the record exactly where a dead publisher stopped.
 *
 * First all instances prepare. Then the waves are announced one after the other: each wave starts after the wave before
 * it has passed. One wave may wait at a gate, which a person or a timer opens. More failures than allowed end the
 * deployment, and switched instances roll back if the policy says so. More missing instances than allowed end it as
 * timed out, and a person decides what follows. Whatever the policy allows, a wave in which no instance succeeds ends it
 * (`provesNothing`), and it never succeeds without an instance that succeeded. While the service is paused, nothing is
 * announced and no gate opens; instances that have started continue, and a rollback is not blocked.
 */

/** A part of a rolling deployment that is announced to its instances: they all prepare, or those of a wave switch. */
export type Phase = { name: 'prepare' } | { name: 'wave'; wave: number };

export type Step =
  /** Announce the phase to these instances. */
  | { do: 'announce'; phase: Phase; targets: readonly string[] }
  /** Wait for reports, decisions and time; with `ask` also for an answer about the alarms, asked for now. */
  | { do: 'wait'; ask?: true }
  /** Write this into the record, then decide again. */
  | { do: 'record'; rolling: Rolling }
  /** What the automatic checks require (`next-check.ts`). */
  | CheckStep
  /** Ask the instances `at`, which have switched, whether they still run the version. */
  | { do: 'look'; at: readonly string[] }
  /** Write the settlement: the deployment has ended. */
  | { do: 'end'; settlement: Settlement };

/** What `nextStep` knows beside the record. */
export interface Facts extends CheckFacts {
  reports: ReadonlyMap<string, Report>;
  /** ms since this publisher announced the current phase; undefined while it has not announced it. */
  sinceAnnounced: number | undefined;
  confirmedBy?: string | undefined;
  /** Whether the service is paused now. */
  paused?: boolean | undefined;
  cancelledBy?: string | undefined;
  /** The instances that are not waited for. */
  forgotten?: readonly Forgotten[] | undefined;
  /** Switched instances that no longer run the version, are down or do not answer; undefined before they were asked. */
  unwell?: readonly string[] | undefined;
}

export type RollingRecord = Pick<
  DeploymentRecord,
  | ('version' | 'previous' | 'action' | 'expected' | 'policy' | 'desiredFirst')
  | ('forgotten' | 'checks' | 'checked')
> & { rolling: Rolling };

export function nextStep(record: RollingRecord, facts: Facts): Step {
  const { rolling } = record;
  if (facts.cancelledBy !== undefined) {
    return end(record, facts, 'cancelled', `cancelled by ${facts.cancelledBy}`);
  }
  const failed = whyChecksFailed(record);
  if (failed !== undefined) return end(record, facts, 'failed', failed);
  const alarmed = alarmStep(record, facts);
  if (alarmed !== undefined) return alarmed;
  if (rolling.preparedAt === undefined) return prepare(record, facts);
  const current = rolling.waves.findIndex(({ announcedAt, passedAt }) => announcedAt && !passedAt);
  if (current !== -1) return followWave(record, facts, current);
  const next = rolling.waves.findIndex(({ announcedAt }) => announcedAt === undefined);
  if (next === -1) return checkAfterLastWave(record, facts) ?? end(record, facts, 'succeeded', '');
  const before = checkBeforeWave(record, facts, next);
  if (before !== undefined) return before;
  const step = startWave(record, facts, next);
  const starts = step.do === 'record' && step.rolling.waves[next]?.announcedAt !== undefined;
  return (starts ? checkAtStart(record, facts) : undefined) ?? step;
}

function prepare(record: RollingRecord, facts: Facts): Step {
  const { rolling, policy } = record;
  const all = rolling.waves.flatMap((wave) => wave.instances);
  const { reports, sinceAnnounced } = facts;
  const failed = all.filter((instance) => hasFailed(reports.get(instance)));
  if (sinceAnnounced === undefined) {
    if (facts.paused) return { do: 'wait' };
    return { do: 'announce', phase: { name: 'prepare' }, targets: all };
  }
  const gone = goneIn(facts);
  const leaving = all.filter(gone);
  const unready = all.filter(
    (instance) => ![...failed, ...leaving].includes(instance) && !isReady(reports.get(instance)),
  );
  const heard = (instance: string) => reports.has(instance);
  if (unready.some(heard) && sinceAnnounced < policy.timeoutMs) return { do: 'wait' };
  if (unready.length > 0 && sinceAnnounced < silenceMs(policy.timeoutMs)) return { do: 'wait' };
  const ready = all.length - failed.length - leaving.length - unready.length;
  if (failed.length > policy.maxFailures || (failed.length > 0 && ready === 0)) {
    return end(record, facts, 'failed', 'not all instances could prepare; nothing was switched');
  }
  if (unready.length > policy.allowMissing || ready === 0) {
    return end(record, facts, 'timed-out', whyNotPrepared(unready, ready));
  }
  const out = new Set([...failed, ...leaving, ...unready]);
  const waves = wavesWithout(out, rolling.waves);
  const preparedAt = new Date(facts.now).toISOString();
  return { do: 'record', rolling: { ...rolling, waves, preparedAt, failed, missing: unready } };
}

/** Why the prepare phase timed out. `--allow-missing` is proposed only where another instance is ready. */
function whyNotPrepared(unready: readonly string[], ready: number): string {
  const why = `${named(unready)} did not prepare; nothing was switched`;
  if (ready === 0) return `${why}. No instance is prepared: a longer --timeout waits longer`;
  const them = unready.length === 1 ? 'it' : 'them';
  return `${why}. --allow-missing ${unready.length} continues without ${them}; a longer --timeout waits longer`;
}

function followWave(record: RollingRecord, facts: Facts, index: number): Step {
  const { rolling, policy } = record;
  const { reports, sinceAnnounced, now } = facts;
  const instances = rolling.waves[index]?.instances ?? [];
  const gone = goneIn(facts);
  const open = instances.filter((instance) => !hasEnded(reports.get(instance)) && !gone(instance));
  if (sinceAnnounced === undefined) {
    // After a resume, all instances of the wave may have ended already: then nothing is announced.
    if (open.length > 0 && facts.paused) return { do: 'wait' };
    if (open.length > 0) return { do: 'announce', phase: { name: 'wave', wave: index }, targets: instances };
  } else {
    const moving = open.filter((instance) => hasMoved(reports.get(instance)));
    if (moving.length > 0 && sinceAnnounced < policy.timeoutMs) return { do: 'wait' };
    if (open.length > 0 && sinceAnnounced < silenceMs(policy.timeoutMs)) return { do: 'wait' };
  }
  const failed = [...rolling.failed, ...instances.filter((instance) => hasFailed(reports.get(instance)))];
  const missing = [...rolling.missing, ...open];
  const where = `in wave ${index + 1} of ${rolling.waves.length}`;
  if (failed.length > policy.maxFailures) return end(record, facts, 'failed', `stopped ${where}`);
  if (missing.length > policy.allowMissing) {
    return end(record, facts, 'timed-out', `${named(open)} did not finish ${where}`);
  }
  const replaced = withNextCanary(rolling, facts, index);
  if (replaced) return { do: 'record', rolling: { ...rolling, waves: replaced } };
  if (provesNothing(record, facts, index)) {
    const outcome = failed.length > rolling.failed.length ? 'failed' : 'timed-out';
    return end(record, facts, outcome, `no instance succeeded ${where}`);
  }
  const passedAt = new Date(now).toISOString();
  const waves = rolling.waves.map((wave, i) => (i === index ? { ...wave, passedAt } : wave));
  return { do: 'record', rolling: { ...rolling, waves, failed, missing } };
}

/**
 * The waves with another canary, if each instance of the canary is being terminated: the first instances that are still
 * to come become the canary. Undefined if a canary is left, or if there are no others.
 */
function withNextCanary({ waves }: Rolling, facts: Facts, index: number): Rolling['waves'] | undefined {
  const canary = waves[index];
  if (canary?.kind !== 'canary' || index !== 0 || waves.length === 1) return undefined;
  const gone = new Set(canary.instances.filter(goneIn(facts)));
  return gone.size === canary.instances.length ? wavesWithout(gone, waves) : undefined;
}

/**
 * Whether the ended wave `index` must end the rollout, because none of its instances succeeded: a canary without a
 * success protects nobody. Only a batch of one instance, or of none that is still there, after another instance has
 * succeeded, is no more than one failed or missing instance, which the policy may allow.
 */
function provesNothing({ rolling: { waves } }: RollingRecord, facts: Facts, index: number): boolean {
  const succeeded = (instance: string) => facts.reports.get(instance)?.state === 'succeeded';
  const [wave, earlier] = [waves[index], waves.slice(0, index)];
  if (wave === undefined || wave.instances.some(succeeded)) return false;
  const gone = goneIn(facts);
  const isOneOfMany =
    wave.kind === 'batch' && wave.instances.filter((instance) => !gone(instance)).length <= 1;
  return !(isOneOfMany && earlier.flatMap(({ instances }) => instances).some(succeeded));
}

/** Starts the wave `next`, after a wait at the gate, until the service is unpaused, and for the time between waves. */
function startWave(record: RollingRecord, facts: Facts, next: number): Step {
  const { rolling } = record;
  const { now } = facts;
  // A rollout of an older publisher may have passed a wave without a success.
  if (next > 0 && provesNothing(record, facts, next - 1)) {
    return end(record, facts, 'failed', `no instance succeeded in wave ${next} of ${rolling.waves.length}`);
  }
  if (gateBefore(rolling) === next && rolling.confirmed === undefined) return waitAtGate(record, facts, next);
  if (facts.paused) return { do: 'wait' };
  const before = rolling.waves[next - 1]?.passedAt;
  if (before !== undefined && now < Date.parse(before) + rolling.pauseBetweenMs) return { do: 'wait' };
  const announcedAt = new Date(now).toISOString();
  const waves = rolling.waves.map((wave, i) => (i === next ? { ...wave, announcedAt } : wave));
  return { do: 'record', rolling: { ...rolling, waves } };
}

function waitAtGate(record: RollingRecord, facts: Facts, next: number): Step {
  const { rolling } = record;
  const { now, confirmedBy, unwell } = facts;
  const at = new Date(now).toISOString();
  if (rolling.awaitingSince === undefined)
    return { do: 'record', rolling: { ...rolling, awaitingSince: at } };
  const timeIsUp =
    rolling.gate === 'time' &&
    rolling.confirm === undefined &&
    now >= Date.parse(rolling.awaitingSince) + (rolling.autoConfirmMs ?? 0);
  if (facts.paused || (confirmedBy === undefined && !timeIsUp)) return { do: 'wait' };
  const switched = rolling.waves.slice(0, next).flatMap((wave) => wave.instances);
  const succeeded = switched.filter((instance) => facts.reports.get(instance)?.state === 'succeeded');
  if (unwell === undefined && succeeded.length > 0) return { do: 'look', at: succeeded };
  // This ends the deployment even if `maxFailures` allows failures: the canary protects the other instances.
  if (unwell !== undefined && unwell.length > 0) {
    return end(
      record,
      facts,
      'failed',
      `${named(unwell)} succeeded, then became unhealthy (no answer, not active, or another version)`,
    );
  }
  return { do: 'record', rolling: { ...rolling, confirmed: { by: confirmedBy ?? 'time', at } } };
}

/** Tells which instances are not waited for: those that are gone, and those that are being terminated. */
function goneIn({ forgotten = [], reports }: Facts): (instance: string) => boolean {
  const lost = forgotten.filter((one) => isForgotten(one, reports.get(one.instance)));
  const names = new Set(lost.map(({ instance }) => instance));
  return (instance) => names.has(instance) || isLeaving(reports.get(instance));
}

/** Whether the report is an ending. */
export const hasEnded = (report: Report | undefined) => report !== undefined && isEnding(report.state);
const hasFailed = (report: Report | undefined) =>
  hasEnded(report) && report?.state !== 'succeeded' && !isLeaving(report);
/** Whether the instance took no deployment because it is being terminated. */
const isLeaving = (report: Report | undefined) => report !== undefined && isTerminating(report);
/** Whether the instance is prepared, or in a later state, and has not failed. */
export const isReady = (report: Report | undefined) =>
  report !== undefined &&
  (report.state === 'succeeded' ||
    (!isEnding(report.state) && ORDER_OF_STATES[report.state] >= ORDER_OF_STATES.prepared));
/** Whether the instance has continued after `prepared` (it drains, switches, starts, …) and has not ended. */
const hasMoved = (report: Report | undefined) =>
  report !== undefined && !isEnding(report.state) && ORDER_OF_STATES[report.state] > ORDER_OF_STATES.prepared;

const end = (...args: Parameters<typeof settlementOf>): Step => ({
  do: 'end',
  settlement: settlementOf(...args),
});

function settlementOf(
  record: RollingRecord,
  facts: Pick<Facts, 'reports' | 'forgotten'>,
  outcome: Settlement['outcome'],
  why: string,
): Settlement {
  const { rolling } = record;
  const tally = tallyOf(record.expected, facts.reports, facts.forgotten);
  const announced = rolling.waves.filter((wave) => wave.announcedAt).flatMap((wave) => wave.instances);
  const [first] = tally.failures;
  const reason = first?.error ? ` (${first.instance}: ${first.error.code}: ${first.error.message})` : '';
  const { counts, silent, unfinished, forgotten } = tally;
  const counted = { counts, silent, unfinished, forgotten };
  if (outcome === 'succeeded' && tally.succeeded.length === 0) {
    const instead = tally.failures.length > 0 ? 'failed' : 'timed-out';
    return settlementOf(record, facts, instead, why || 'no instance succeeded');
  }
  if (outcome === 'succeeded') {
    const failures = rolling.failed.length + tally.failures.length > 0;
    const exitCode = failures ? 1 : 0;
    const text = [tally.text, checksText(record)].filter(Boolean).join('; ');
    return { ...counted, outcome, exitCode, moveDesired: true, rollBack: false, text };
  }
  const undo = announced.some((instance) => {
    const state = facts.reports.get(instance)?.state;
    return state === undefined || state === 'succeeded' || state === 'broken' || !isEnding(state);
  });
  const rollBack = outcome !== 'timed-out' && undo && whyNoRollback(record) === undefined;
  const isTold = outcome === 'cancelled' || whyChecksFailed(record) !== undefined;
  const after = isTold && undo && !rollBack && whenCancelled(record);
  const text = [tally.text + (outcome === 'failed' ? reason : ''), why, after].filter(Boolean).join('; ');
  const exitCode = outcome === 'timed-out' ? 3 : 1;
  return { ...counted, outcome, exitCode, moveDesired: false, rollBack, text };
}

/**
 * The settlement of a rolling deployment whose publisher has stopped. It succeeded only if all waves passed, it has no
 * automatic checks, and nobody cancelled it. A check that failed is final.
 */
export function settleUndriven(
  record: RollingRecord,
  reports: ReadonlyMap<string, Report>,
  cancelledBy?: string,
): Settlement {
  const { waves, preparedAt } = record.rolling;
  const passed = waves.filter((wave) => wave.passedAt !== undefined).length;
  const facts = { reports, forgotten: record.forgotten };
  if (cancelledBy !== undefined) {
    return settlementOf(record, facts, 'cancelled', `cancelled by ${cancelledBy}`);
  }
  const failed = whyChecksFailed(record);
  if (failed !== undefined) return settlementOf(record, facts, 'failed', failed);
  const done = preparedAt !== undefined && passed === waves.length;
  if (done && !hasOpenChecks(record)) return settlementOf(record, facts, 'succeeded', '');
  const where = done ? 'before its checks ended' : `after ${passed} of ${waves.length} waves`;
  return settlementOf(record, facts, 'timed-out', `its publisher stopped ${where}`);
}
