import { isTerminating, type Report } from '../../shared/report.ts';
import { type Ending, isEnding } from '../../shared/states.ts';
import { whyNoRollback } from '../plan/rollback-policy.ts';
import type { DeploymentRecord, Forgotten } from '../record/deployment-schema.ts';

/**
 * Computes the outcome of a deployment from its record and its reports. Pure, so that the publisher, a `watch` and the
 * next deployment come to the same outcome.
 */

/**
 * How long an instance that does not answer is waited for, ms: a tenth of the timeout, 45 s at least, and never longer
 * than the timeout. 45 s is more than the time for which an announcement stays invisible (30 s) after a connection of an
 * agent that was just restarted has received it.
 */
export const silenceMs = (timeoutMs: number): number => Math.min(timeoutMs, Math.max(45_000, timeoutMs / 10));
/** How often instances that do not answer are asked again, ms. */
export const REPEAT_MS = 7000;
/** If no instance is known and none answers, how long to wait after the announcement, ms. */
const NOBODY_MS = 15_000;
/** If no instance was expected, how long to wait after the announcement for more instances to answer, ms. */
const NEWCOMERS_MS = 2000;

export type SettleRecord = Pick<
  DeploymentRecord,
  'version' | 'previous' | 'action' | 'expected' | 'policy' | 'desiredFirst' | 'forgotten'
>;

export interface Settlement {
  outcome: 'succeeded' | 'failed' | 'timed-out' | 'cancelled';
  exitCode: 0 | 1 | 3;
  /** Whether the desired state becomes this version. */
  moveDesired: boolean;
  /** Whether a deployment of the previous version must follow. */
  rollBack: boolean;
  /**
   * How many instances are in each state. The key `silent` counts the instances without a report, and `forgotten` those
   * that were not waited for.
   */
  counts: Record<string, number>;
  /** The expected instances without a report. */
  silent: string[];
  /** The instances that were not waited for. */
  forgotten: readonly Forgotten[];
  /** The instances with a report that have not ended. */
  unfinished: string[];
  /** What happened, one line. */
  text: string;
}

/**
 * The settlement, or undefined while the deployment must still be followed. A failure is an ending other than
 * `succeeded`; silent and unfinished instances are missing. An instance that is being terminated is neither. The first
 * rule that applies decides:
 *
 * 1. More failures than `maxFailures`: failed. A rollback follows as `wantsRollBack` decides.
 * 2. Unfinished instances, and more missing than `allowMissing`: timed out. The desired state stays, because the
 *    outcome of the unfinished instances is unknown.
 * 3. Failures, and no instance succeeded: failed, as in rule 1.
 * 4. No instance has ended: timed out, whatever `allowMissing` says. The desired state stays, because no instance has
 *    shown that the version works. Only if no instance is known at all is it set, so that a service can get a version
 *    before its first instance exists.
 * 5. More silent instances than `allowMissing`: timed out. The desired state is set: the version works on the instances
 *    that answered, and the silent instances must not start later with another version.
 * 6. Otherwise: succeeded. At least one instance has succeeded.
 *
 * An instance that is not waited for (`forgotten`) is not missing. The exit code is 1 with any failure; without one it is 0 for succeeded and 3 for timed out.
 */
export function settle(
  record: SettleRecord,
  reports: ReadonlyMap<string, Report>,
  elapsedMs: number,
): Settlement | undefined {
  const fleet = survey(record.expected, reports, record.forgotten);
  return isOpen(record, fleet, elapsedMs) ? undefined : decide(record, fleet);
}

/** The outcome from the reports received so far, without waiting. */
export function settleFinally(record: SettleRecord, reports: ReadonlyMap<string, Report>): Settlement {
  return decide(record, survey(record.expected, reports, record.forgotten));
}

function decide(record: SettleRecord, fleet: Fleet): Settlement {
  const { policy } = record;
  const { succeeded, failures, silent, unfinished, forgotten } = fleet;
  const facts = { counts: fleet.counts, silent, unfinished, forgotten };
  const hasFailed = () => {
    const rollBack = wantsRollBack(record, fleet);
    return {
      outcome: 'failed',
      exitCode: 1,
      moveDesired: false,
      rollBack,
      ...facts,
      text: withFirstError(fleet),
    } as const;
  };
  const exitCode = failures.length > 0 ? 1 : 3;
  const missing = unfinished.length + silent.length;
  const timedOut = { outcome: 'timed-out', exitCode, rollBack: false, ...facts } as const;
  if (failures.length > policy.maxFailures) return hasFailed();
  if (unfinished.length > 0 && missing > policy.allowMissing) {
    return {
      ...timedOut,
      moveDesired: false,
      text: `${tally(fleet)} (${named([...unfinished, ...silent])})`,
    };
  }
  if (succeeded.length === 0 && failures.length > 0) return hasFailed();
  if (succeeded.length === 0) {
    return { ...timedOut, moveDesired: fleet.size === 0, text: noneEnded(fleet) };
  }
  const text = answered(fleet);
  if (missing > policy.allowMissing) return { ...timedOut, moveDesired: true, text };
  const passing = { outcome: 'succeeded', moveDesired: true, rollBack: false } as const;
  return { ...passing, exitCode: failures.length > 0 ? 1 : 0, ...facts, text };
}

/** The instances by outcome, and a text that counts them: `2 of 3 succeeded, 1 rolled back`. */
export function tallyOf(
  expected: readonly string[],
  reports: ReadonlyMap<string, Report>,
  forgotten: readonly Forgotten[] = [],
): Fleet & { text: string } {
  const fleet = survey(expected, reports, forgotten);
  return { ...fleet, text: tally(fleet) };
}

/** The instances of a deployment by outcome. */
export interface Fleet {
  size: number;
  known: number;
  succeeded: Report[];
  /** The reports of instances that ended in another state than `succeeded`. */
  failures: Report[];
  unfinished: string[];
  silent: string[];
  /** The instances that took no deployment because they are being terminated. */
  terminating: string[];
  /** Those that are not waited for: they count for nothing. */
  forgotten: Forgotten[];
  counts: Record<string, number>;
}

/**
 * Whether a deployment does not wait for the instance. One that has ended counts in any case. One that was silent counts
 * as soon as it says anything; what EC2 calls gone may have begun.
 */
export function isForgotten({ why }: Forgotten, report: Report | undefined): boolean {
  return report === undefined || (why !== 'silent' && !isEnding(report.state));
}

function survey(
  expected: readonly string[],
  reports: ReadonlyMap<string, Report>,
  given: readonly Forgotten[] = [],
): Fleet {
  const forgotten = given.filter((one) => isForgotten(one, reports.get(one.instance)));
  const gone = new Set(forgotten.map(({ instance }) => instance));
  const all = [...new Set([...expected, ...reports.keys()])].filter((one) => !gone.has(one)).sort();
  const fleet: Fleet = {
    size: all.length,
    known: expected.filter((one) => !gone.has(one)).length,
    forgotten,
    succeeded: [],
    failures: [],
    unfinished: [],
    silent: [],
    terminating: [],
    counts: forgotten.length > 0 ? { forgotten: forgotten.length } : {},
  };
  for (const instance of all) {
    const report = reports.get(instance);
    const state = report?.state ?? 'silent';
    fleet.counts[state] = (fleet.counts[state] ?? 0) + 1;
    if (report === undefined) fleet.silent.push(instance);
    else if (!isEnding(report.state)) fleet.unfinished.push(instance);
    else if (report.state === 'succeeded') fleet.succeeded.push(report);
    else if (isTerminating(report)) fleet.terminating.push(instance);
    else fleet.failures.push(report);
  }
  return fleet;
}

function isOpen({ policy }: SettleRecord, fleet: Fleet, elapsedMs: number): boolean {
  if (elapsedMs >= policy.timeoutMs) return false;
  if (fleet.unfinished.length > 0) return true;
  if (fleet.size === 0) return elapsedMs < NOBODY_MS;
  if (fleet.silent.length > 0) return elapsedMs < silenceMs(policy.timeoutMs);
  return fleet.known === 0 && elapsedMs < NEWCOMERS_MS;
}

/**
 * Whether a rollback must follow: the policy allows it, there is a version to roll back to, and there is something to
 * undo. That is an instance that runs the version or may still switch to it, or a desired state that is already set.
 */
function wantsRollBack(record: SettleRecord, fleet: Fleet): boolean {
  if (whyNoRollback(record) !== undefined) return false;
  if (record.desiredFirst) return true;
  const broken = fleet.failures.some((report) => report.state === 'broken');
  return fleet.succeeded.length > 0 || broken || fleet.unfinished.length > 0;
}

const WORDS = {
  failed: 'failed with nothing changed',
  'rolled-back': 'rolled back',
  broken: 'broken (needs a person)',
  superseded: 'superseded by a newer deployment',
  cancelled: 'cancelled',
  rejected: 'rejected',
  succeeded: 'succeeded',
} as const satisfies Record<Ending, string>;

function withFirstError(fleet: Fleet): string {
  const [first] = fleet.failures;
  const why = first?.error ? ` (${first.instance}: ${first.error.code}: ${first.error.message})` : '';
  return `${tally(fleet)}${why}`;
}

function answered(fleet: Fleet): string {
  return fleet.silent.length > 0 ? `${tally(fleet)} (${named(fleet.silent)})` : tally(fleet);
}

function noneEnded(fleet: Fleet): string {
  if (fleet.silent.length > 0) return `no instance answered; silent: ${named(fleet.silent)}`;
  const { terminating } = fleet;
  if (terminating.length === fleet.size && fleet.size > 0)
    return `no instance could take it: being terminated: ${named(terminating)}`;
  return fleet.size === 0
    ? `no instance answered; none is known to run this service${notWaitedFor(fleet.forgotten)}`
    : `no instance has finished: ${named(fleet.unfinished)}`;
}

/** `2 of 3 succeeded, 1 rolled back`. */
function tally(fleet: Fleet): string {
  const parts = [`${fleet.succeeded.length} of ${fleet.size} succeeded`];
  for (const [ending, words] of Object.entries(WORDS)) {
    const count = fleet.failures.filter(({ state }) => state === ending).length;
    if (ending !== 'succeeded' && count) parts.push(`${count} ${words}`);
  }
  if (fleet.terminating.length > 0) parts.push(`${fleet.terminating.length} being terminated`);
  if (fleet.unfinished.length > 0) parts.push(`${fleet.unfinished.length} not finished`);
  if (fleet.silent.length > 0) parts.push(`${fleet.silent.length} never answered`);
  return parts.join(', ') + notWaitedFor(fleet.forgotten);
}

/** `, 2 not waited for (i-1 terminated, i-2 silent)`; empty when there are none. */
function notWaitedFor(forgotten: readonly Forgotten[]): string {
  if (forgotten.length === 0) return '';
  const words = { terminated: 'terminated', unknown: 'unknown to EC2', silent: 'silent' };
  return `, ${forgotten.length} not waited for (${named(forgotten.map(({ instance, why }) => `${instance} ${words[why]}`))})`;
}

/** The first five names, and how many more there are. */
export function named(instances: readonly string[]): string {
  const shown = instances.slice(0, 5).join(', ');
  return instances.length > 5 ? `${shown} and ${instances.length - 5} more` : shown;
}
