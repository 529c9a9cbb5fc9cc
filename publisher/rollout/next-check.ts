import { alarmsText, dueChecks, phaseText } from '../plan/checks.ts';
import type { AlarmState, Checked, VerifyRun } from '../record/check-schema.ts';
import type { DeploymentRecord, Rolling } from '../record/deployment-schema.ts';

/**
 * Decides what the automatic checks of a rolling deployment require next. Pure, as `next-step.ts`, and from the record as
 * far as it goes: a verdict that is recorded counts for every publisher, and a check that is not recorded as passed is
 * made again. So a check may be made twice, and none is left out.
 */

/** How old the last answer about the alarms may be where a wave starts or the deployment succeeds, ms. */
export const FRESH_MS = 45_000;

/** How old it may be in the moment in which a wave starts, ms: a person may have confirmed just after an alarm went off. */
const AT_START_MS = 10_000;

/** The alarms as this publisher read them last. */
export interface AlarmFacts {
  /** ms since the last answer was asked for. */
  ageMs: number;
  /** For how long they have been read without a gap of more than `FRESH_MS`, ms. */
  steadyMs: number;
  /** Those that forbid the deployment, by the last answer. */
  failed: readonly AlarmState[];
}

export interface CheckFacts {
  /** ms since the epoch, by AWS's clock. */
  now: number;
  /** Undefined before the first answer. */
  alarms?: AlarmFacts | undefined;
  /** The run of `verify` that this publisher started; it has an `endedAt` once it has ended. */
  verify?: VerifyRun | undefined;
  /** The command `verify` of this publisher, where it is not the demanded one. */
  otherVerify?: readonly string[] | undefined;
}

export type CheckRecord = Pick<DeploymentRecord, 'checks' | 'checked'> & { rolling: Rolling };

export type CheckStep =
  /** Write this into the record, then decide again. */
  | { do: 'record'; rolling: Rolling; checked: Checked }
  /** Start the command `verify`. */
  | { do: 'verify'; phase: VerifyRun['phase'] }
  /** With `ask`, for an answer about the alarms that must be asked for now. */
  | { do: 'wait'; ask?: true };

/** Why the recorded checks end the deployment; undefined while none has failed. */
export function whyChecksFailed({ checks, checked, rolling }: CheckRecord): string | undefined {
  if (dueChecks(checks) === undefined) return undefined;
  const failed = checked?.verify?.find(({ passed }) => passed === false);
  if (failed) return `verify ${phaseText(failed.phase)} failed: ${failed.why ?? 'it did not pass'}`;
  return checked?.alarms && `stopped ${whereText(rolling)}: ${alarmsText(checked.alarms.failed)}`;
}

function whereText({ preparedAt, waves }: Rolling): string {
  if (preparedAt === undefined) return 'before the first wave';
  const started = waves.filter(({ announcedAt }) => announcedAt !== undefined).length;
  const passed = waves.filter(({ passedAt }) => passedAt !== undefined).length;
  if (passed === waves.length) return 'after the last wave';
  if (started > passed) return `in wave ${started} of ${waves.length}`;
  return passed === 0 ? 'before the first wave' : `after wave ${passed} of ${waves.length}`;
}

/** Whether a command `verify` must still run. */
export const needsVerify = (record: CheckRecord): boolean =>
  dueChecks(record.checks)?.verify !== undefined &&
  whyChecksFailed(record) === undefined &&
  !record.checked?.verify?.some(({ phase, passed }) => phase === 'last' && passed);

/** What a publisher that continues starts with: what had begun and had not ended begins again. */
export function withoutOpenChecks(checked: Checked | undefined): Checked | undefined {
  if (checked === undefined) return undefined;
  const { watchingSince: _, ...rest } = checked;
  const ended = rest.verify?.filter(({ endedAt }) => endedAt !== undefined);
  return { ...rest, ...(ended && { verify: ended }) };
}

/** Whether all waves have passed, no check has failed, and it is not certain that all have passed. */
export function hasOpenChecks({
  rolling,
  ...record
}: Pick<DeploymentRecord, 'checks' | 'checked' | 'rolling'>): boolean {
  if (rolling === undefined || dueChecks(record.checks) === undefined) return false;
  if (whyChecksFailed({ ...record, rolling }) !== undefined || rolling.preparedAt === undefined) return false;
  return rolling.waves.every(({ passedAt }) => passedAt !== undefined);
}

/** The step that records alarms that forbid the deployment; undefined while there are none. */
export function alarmStep(record: CheckRecord, { now, alarms }: CheckFacts): CheckStep | undefined {
  const { checks, checked, rolling } = record;
  if (dueChecks(checks) === undefined || alarms === undefined || alarms.failed.length === 0) return undefined;
  const verdict = { at: new Date(now).toISOString(), failed: [...alarms.failed] };
  return { do: 'record', rolling, checked: { ...checked, alarms: verdict } };
}

/** What must happen before the wave `next` may start or its gate may open; undefined when nothing must. */
export function checkBeforeWave(record: CheckRecord, facts: CheckFacts, next: number): CheckStep | undefined {
  const isAfterCanary = next === 1 && record.rolling.waves[0]?.kind === 'canary';
  return (isAfterCanary ? verifyStep(record, facts, 'canary') : undefined) ?? waitForAnswer(record, facts);
}

/** What must happen in the moment in which the next wave would start; undefined when nothing must. */
export function checkAtStart({ checks }: CheckRecord, { alarms }: CheckFacts): CheckStep | undefined {
  if (!dueChecks(checks)?.alarms.length || (alarms && alarms.ageMs <= AT_START_MS)) return undefined;
  return { do: 'wait', ask: true };
}

/** What must happen after the last wave before the deployment has succeeded; undefined when nothing must. */
export function checkAfterLastWave(record: CheckRecord, facts: CheckFacts): CheckStep | undefined {
  return watchStep(record, facts) ?? verifyStep(record, facts, 'last') ?? waitForWatch(record, facts);
}

function verifyStep(
  { checks, checked, rolling }: CheckRecord,
  { now, verify, otherVerify }: CheckFacts,
  phase: VerifyRun['phase'],
): CheckStep | undefined {
  if (dueChecks(checks)?.verify === undefined) return undefined;
  const runs = checked?.verify ?? [];
  const others = runs.filter((run) => run.phase !== phase);
  const known = runs.find((run) => run.phase === phase);
  const record = (run: VerifyRun): CheckStep => ({
    do: 'record',
    rolling,
    checked: { ...checked, verify: [...others, run] },
  });
  if (known?.passed) return undefined;
  if (verify?.phase === phase) return verify.endedAt === undefined ? { do: 'wait' } : record(verify);
  const own = otherVerify && { run: [...otherVerify] };
  if (known === undefined) return record({ phase, startedAt: new Date(now).toISOString(), ...own });
  return { do: 'verify', phase };
}

/**
 * Records since when the alarms are watched. After a time in which nobody could read them (this publisher has just
 * continued, or CloudWatch did not answer) the watch begins again: what happened meanwhile is not known.
 */
function watchStep(
  { checks, checked, rolling }: CheckRecord,
  { now, alarms }: CheckFacts,
): CheckStep | undefined {
  if (!dueChecks(checks)?.alarms.length) return undefined;
  if (alarms === undefined) return { do: 'wait' };
  const since = Date.parse(checked?.watchingSince ?? '');
  if (now - since <= alarms.steadyMs + FRESH_MS) return undefined;
  const begin = Number.isNaN(since) ? now : now - alarms.steadyMs;
  return { do: 'record', rolling, checked: { ...checked, watchingSince: new Date(begin).toISOString() } };
}

function waitForWatch(record: CheckRecord, facts: CheckFacts): CheckStep | undefined {
  const { checks, checked } = record;
  const watchMs = dueChecks(checks)?.alarms.length ? (checks?.watchAlarmsMs ?? 0) : 0;
  const until = Date.parse(checked?.watchingSince ?? '') + watchMs;
  return watchMs > 0 && !(facts.now >= until) ? { do: 'wait' } : waitForAnswer(record, facts, until);
}

/**
 * Waits for an answer about the alarms that is not too old, and was asked for after the last wave that passed and after
 * `from` (ms since the epoch): the end of the watch is watched, too.
 */
function waitForAnswer(
  { checks, rolling }: CheckRecord,
  { now, alarms }: CheckFacts,
  from = 0,
): CheckStep | undefined {
  if (!dueChecks(checks)?.alarms.length) return undefined;
  const passed = rolling.waves.flatMap(({ passedAt }) =>
    passedAt === undefined ? [] : [Date.parse(passedAt)],
  );
  if (alarms === undefined) return { do: 'wait' };
  const isNew = now - alarms.ageMs >= Math.max(from, ...passed);
  return isNew && alarms.ageMs <= FRESH_MS ? undefined : { do: 'wait', ask: true };
}

/** What the settled checks gave, for the outcome of a success; undefined without checks. */
export function checksText({ checks }: Pick<CheckRecord, 'checks'>): string | undefined {
  if (checks === undefined) return undefined;
  if (checks.skipped) return 'its checks were skipped';
  const { alarms, verify } = checks;
  const parts = [
    alarms.length === 0 ? '' : alarms.length === 1 ? 'the alarm is OK' : `${alarms.length} alarms are OK`,
    verify === undefined ? '' : 'verify passed',
  ];
  return parts.filter(Boolean).join(', ');
}
