import { asTriggerDeployError, type ErrorCode, isCode, TriggerDeployError } from '../../shared/errors.ts';
import type { Ending, ProgressState, Step } from '../../shared/report.ts';
import { reportErrorOf } from './build-report.ts';
import type { Run } from './deployment-run.ts';
import { rejoinTraffic } from './drain-traffic.ts';
import { isExhausted } from './recover.ts';
import { beforeSwitch } from './state.ts';
import { check, watch } from './step-check.ts';
import { commit } from './step-commit.ts';
import { drain, mayBeDrained, undoHooks } from './step-drain.ts';
import { prepare } from './step-prepare.ts';
import { decideRollback, rollback } from './step-rollback.ts';
import { start } from './step-start.ts';
import { isUntouched, switchRelease } from './step-switch.ts';

/** How a run of a deployment came out: an ending, or a halt that the journal will take up again. */
export type RunResult =
  | { ending: Ending; error?: TriggerDeployError | undefined; during?: Step | undefined }
  /** Prepared, and waiting for the announcement that says go on. */
  | { held: true }
  /** The agent or the machine is stopping: no verdict, the journal holds where it stands. */
  | { interrupted: true };

type ForwardStep = Exclude<Step, 'rollback'>;

const STEP_WORK = {
  prepare,
  drain,
  switch: switchRelease,
  start,
  check,
  watch,
  commit,
} satisfies Record<ForwardStep, (run: Run) => Promise<void>>;

/** The step to begin with, by the state the journal holds. Each step may be begun again: all are idempotent. */
const NEXT_STEP = {
  accepted: 'prepare',
  preparing: 'prepare',
  prepared: 'drain',
  draining: 'drain',
  switching: 'switch',
  starting: 'start',
  checking: 'check',
  watching: 'check',
} satisfies Record<ProgressState, ForwardStep>;

const COURSE: readonly ForwardStep[] = ['prepare', 'drain', 'switch', 'start', 'check', 'watch', 'commit'];

/** Takes the active deployment from where the journal has it to its end. The one place that decides on rollback. */
export async function runDeployment(run: Run): Promise<RunResult> {
  const exhausted = isExhausted(run.active());
  if (run.active().direction === 'back') return exhausted ? brokenAfterTries(run) : await goBack(run);
  const failure = turnedBack(run) ?? (exhausted ? triedTooOften(run) : await goForward(run));
  if (failure === undefined) return { ending: 'succeeded' };
  if (failure === 'held') return { held: true };
  if (await isInterrupted(run, failure.error)) return { interrupted: true };
  if (beforeSwitch(run.active()) || (await isUntouched(run))) return await giveUp(run, failure);
  const detail = await evidence(run, failure.error);
  run.log.warn({ err: failure.error, step: failure.during }, `${failure.error.message}: rolling back`);
  try {
    await decideRollback(run, { ...failure, detail });
  } catch (error) {
    // The decision could not be recorded: the journal still says forward, and so it will be taken up again.
    run.log.error({ err: error }, 'the decision to roll back could not be recorded');
    return { interrupted: true };
  }
  return await goBack(run);
}

type Failure = { error: TriggerDeployError; during: Step };

async function goForward(run: Run): Promise<Failure | 'held' | undefined> {
  for (const step of COURSE.slice(COURSE.indexOf(await firstStep(run)))) {
    if (!run.active().changed && (step === 'drain' || step === 'switch' || step === 'start')) continue;
    try {
      run.signal.throwIfAborted();
      if (step !== 'prepare' && run.active().order.hold) return 'held';
      await run.timed(step, () => STEP_WORK[step](run));
    } catch (error) {
      // Whatever an aborted wait threw, why it was aborted is the reason that counts.
      const reason: unknown = run.signal.aborted ? run.signal.reason : error;
      return { error: asTriggerDeployError(reason), during: step };
    }
  }
  return undefined;
}

/** What was switched may have been switched back since, as a new agent is that does not prove itself. */
async function firstStep(run: Run): Promise<ForwardStep> {
  const { state, changed, order } = run.active();
  const first = NEXT_STEP[state];
  if (!changed || COURSE.indexOf(first) <= COURSE.indexOf('switch')) return first;
  const current = await run.ports.package.current().catch(() => undefined);
  return current === order.version ? first : 'switch';
}

/** It was turning back already, before anything was switched, when the agent went away. */
function turnedBack(run: Run): Failure | undefined {
  const { error, during } = run.active();
  if (error === undefined || during === undefined) return undefined;
  const { code, message, detail } = error;
  return { error: new TriggerDeployError(code as ErrorCode, message, { detail }), during };
}

/** A deployment that takes the agent down each time must not do so for ever. */
function triedTooOften(run: Run): Failure {
  const { state, recoveries } = run.active();
  const message = `the agent went down ${recoveries} times in this deployment, the last time while ${state}`;
  return { error: new TriggerDeployError('RECOVERY_EXHAUSTED', message), during: NEXT_STEP[state] };
}

function brokenAfterTries(run: Run): RunResult {
  const { error } = triedTooOften(run);
  run.log.fatal({ err: error }, `the rollback was never finished, this needs a person: ${error.message}`);
  return { ending: 'broken', error };
}

async function goBack(run: Run): Promise<RunResult> {
  try {
    await run.timed('rollback', () => rollback(run));
    return { ending: 'rolled-back' };
  } catch (error) {
    const failure = asTriggerDeployError(error);
    if (await isInterrupted(run, failure)) return { interrupted: true };
    run.log.fatal({ err: failure }, `the rollback failed too, this needs a person: ${failure.message}`);
    return {
      ending: 'broken',
      error: new TriggerDeployError(failure.code, `the rollback failed too: ${failure.message}`, {
        cause: failure,
        detail: await evidence(run, failure),
      }),
    };
  }
}

/**
 * Nothing was switched: whatever traffic was taken away is given back, and that is all there is to undo. Why is
 * recorded first: an agent killed on the way must not go forward again, with the hooks counted that gave it back.
 */
async function giveUp(run: Run, { error, during }: Failure): Promise<RunResult> {
  if (mayBeDrained(run)) {
    try {
      await run.move({ error: reportErrorOf(error, error.detail), during });
    } catch (cause) {
      run.log.error({ err: cause }, 'why it turns back could not be recorded');
      return { interrupted: true };
    }
    // The cancel that turned it back must not cancel the giving back.
    const back = { ...run, signal: run.stopping, unlessCancelled: new AbortController().signal };
    for (const give of [undoHooks, rejoinTraffic]) {
      try {
        await give(back);
      } catch (cause) {
        if (await isInterrupted(run, asTriggerDeployError(cause))) return { interrupted: true };
        run.log.error({ err: cause }, 'traffic could not be given back while turning back');
      }
    }
  }
  if (error.code === 'CANCELLED') return { ending: 'cancelled', error, during };
  if (error.code === 'SUPERSEDED') return { ending: 'superseded', error, during };
  run.log.warn({ err: error, step: during }, `${error.message}: nothing was changed`);
  return { ending: 'failed', error, during };
}

/**
 * Units go inactive under an agent whose machine shuts down, and waits end early under an agent that is
 * being stopped: neither says anything about the version.
 */
async function isInterrupted(run: Run, error: TriggerDeployError): Promise<boolean> {
  if (isCode(error, 'INTERRUPTED')) return true;
  if (run.stopping.aborted) return true;
  return await run.ports.host.stopping(run.stopping);
}

/** The output a step failed with and the end of the service's own log; nothing where the operator says `reportLog: off`. */
async function evidence(run: Run, error: TriggerDeployError): Promise<string | undefined> {
  if (!run.service.reportLog) return undefined;
  let tail = '';
  try {
    tail = await run.ports.manager.logTail(run.active().startedAt, run.stopping);
  } catch (cause) {
    run.log.warn({ err: cause }, "the service's log could not be read");
  }
  // A manager whose start failed has looked there already.
  const more = error.detail?.includes(tail.trim()) ? '' : tail;
  const parts = [error.detail, more].filter((part) => part !== undefined && part !== '');
  return parts.length === 0 ? undefined : parts.join('\n');
}
