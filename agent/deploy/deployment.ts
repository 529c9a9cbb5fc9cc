import { asTriggerDeployError, type ErrorCode, isCode, TriggerDeployError } from '../../shared/errors.ts';
import type { Ending, ProgressState, Step } from '../../shared/states.ts';
import { buildReportError } from './build-report.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { rejoinTraffic } from './drain-traffic.ts';
import { isExhausted, MAX_RECOVERIES } from './recover.ts';
import type { ServiceStatus } from './service-port.ts';
import { beforeSwitch } from './state.ts';
import { check } from './step-check.ts';
import { commit } from './step-commit.ts';
import { drain, isMaybeDrained, runUndrainHooks } from './step-drain.ts';
import { prepare } from './step-prepare.ts';
import { decideRollback, rollback } from './step-rollback.ts';
import { start } from './step-start.ts';
import { isUntouched, switchRelease } from './step-switch.ts';
import { watch } from './step-watch.ts';

/** How a run stopped: with an ending, or without one. Without one, the deployment is resumed from the journal. */
export type RunResult =
  | { ending: Ending; error?: TriggerDeployError | undefined; during?: Step | undefined }
  /** The deployment is prepared and waits until an announcement or a desired state continues it. */
  | { held: true }
  /** The agent or the machine is stopping, or the journal cannot be written. */
  | { interrupted: true };

type ForwardStep = Exclude<Step, 'rollback'>;

/**
 * The work of each step, for one run. A step begins with what the one before has just seen, and the watch period compares
 * with what the checks have seen.
 */
function workOfSteps(): Record<ForwardStep, (run: DeploymentRun) => Promise<void>> {
  let switched = false;
  let started: ServiceStatus | undefined;
  let checked: ServiceStatus | undefined;
  return {
    prepare,
    drain,
    async switch(run) {
      await switchRelease(run);
      switched = true;
    },
    async start(run) {
      // Only a package that has the unit starts it while it is switched. Else only an agent that was killed has started it.
      const maybeStarted = !switched || run.ports.package.installsUnit;
      started = await start(run, maybeStarted);
    },
    async check(run) {
      checked = await check(run, started);
    },
    async watch(run) {
      if (checked === undefined) throw new Error('no watch without checks');
      await watch(run, checked);
    },
    commit,
  };
}

/** The step to start with, by the journalled state. Every step is idempotent, so it may run again. */
const FIRST_STEP = {
  accepted: 'prepare',
  preparing: 'prepare',
  prepared: 'drain',
  draining: 'drain',
  switching: 'switch',
  starting: 'start',
  checking: 'check',
  watching: 'check',
} satisfies Record<ProgressState, ForwardStep>;

const FORWARD_STEPS: readonly ForwardStep[] = [
  'prepare',
  'drain',
  'switch',
  'start',
  'check',
  'watch',
  'commit',
];

/** Runs the active deployment from its journalled state to its end. Only this function decides to roll back. */
export async function runDeployment(run: DeploymentRun): Promise<RunResult> {
  const exhausted = isExhausted(run.active());
  if (run.active().direction === 'back') return exhausted ? brokenByRecoveries(run) : await runRollback(run);
  const failure = recordedFailure(run) ?? (exhausted ? recoveryExhausted(run) : await runForward(run));
  if (failure === undefined) return { ending: 'succeeded' };
  if (failure === 'held') return { held: true };
  run.endForward();
  if (await isInterrupted(run, failure.error)) return { interrupted: true };
  if (beforeSwitch(run.active()) || (await isUntouched(run))) return await endBeforeSwitch(run, failure);
  const detail = await failureDetail(run, failure.error);
  run.log.warn({ err: failure.error, step: failure.during }, `${failure.error.message}: rolling back`);
  try {
    await decideRollback(run, { ...failure, detail });
  } catch (error) {
    // In the journal the direction is still forward: the deployment is resumed from there.
    run.log.error({ err: error }, 'the decision to roll back could not be recorded');
    return { interrupted: true };
  }
  return await runRollback(run);
}

type Failure = { error: TriggerDeployError; during: Step };

async function runForward(run: DeploymentRun): Promise<Failure | 'held' | undefined> {
  const work = workOfSteps();
  for (const step of FORWARD_STEPS.slice(FORWARD_STEPS.indexOf(await firstStep(run)))) {
    if (!run.active().changed && (step === 'drain' || step === 'switch' || step === 'start')) continue;
    try {
      run.signal.throwIfAborted();
      if (step !== 'prepare' && run.active().order.hold) return 'held';
      await run.timed(step, work[step]);
    } catch (error) {
      // An aborted call may throw any error: the signal has the reason.
      const reason: unknown = run.signal.aborted ? run.signal.reason : error;
      return { error: asTriggerDeployError(reason), during: step };
    }
  }
  return undefined;
}

/**
 * The step to start with. If the new version is no longer current, this is `switch`: the self-update guard may have
 * restored the old agent.
 */
async function firstStep(run: DeploymentRun): Promise<ForwardStep> {
  const { state, changed, order } = run.active();
  const first = FIRST_STEP[state];
  if (!changed || FORWARD_STEPS.indexOf(first) <= FORWARD_STEPS.indexOf('switch')) return first;
  const current = await run.ports.package.current().catch(() => undefined);
  return current === order.version ? first : 'switch';
}

/** The journalled failure of a deployment that had switched nothing and restored traffic when the agent stopped. */
function recordedFailure(run: DeploymentRun): Failure | undefined {
  const { error, during } = run.active();
  if (error === undefined || during === undefined) return undefined;
  const { code, message, detail, hint } = error;
  return { error: new TriggerDeployError(code as ErrorCode, message, { detail, hint }), during };
}

/** The failure of a deployment during which the agent died too often. It is not resumed again. */
function recoveryExhausted(run: DeploymentRun): Failure {
  const { state, recoveries, restarts = 0 } = run.active();
  const how =
    recoveries > MAX_RECOVERIES
      ? `stopped unexpectedly ${recoveries} times`
      : `was stopped ${restarts} times`;
  const message = `the agent ${how} during this deployment, last while ${state}`;
  return { error: new TriggerDeployError('RECOVERY_EXHAUSTED', message), during: FIRST_STEP[state] };
}

function brokenByRecoveries(run: DeploymentRun): RunResult {
  const { error } = recoveryExhausted(run);
  run.log.fatal({ err: error }, `the rollback did not finish; repair the service by hand: ${error.message}`);
  return { ending: 'broken', error };
}

async function runRollback(run: DeploymentRun): Promise<RunResult> {
  try {
    await run.timed('rollback', rollback);
    return { ending: 'rolled-back' };
  } catch (error) {
    const failure = asTriggerDeployError(error);
    if (await isInterrupted(run, failure)) return { interrupted: true };
    run.log.fatal({ err: failure }, `the rollback failed; repair the service by hand: ${failure.message}`);
    return {
      ending: 'broken',
      error: new TriggerDeployError(failure.code, `the rollback failed: ${failure.message}`, {
        cause: failure,
        hint: failure.hint,
        detail: await failureDetail(run, failure),
      }),
    };
  }
}

/**
 * Ends a deployment that has switched nothing: only traffic has to be restored. The failure is journalled first. If the
 * agent dies here, the next one must not continue forward: it would count the `afterStart` hooks as done.
 */
async function endBeforeSwitch(run: DeploymentRun, { error, during }: Failure): Promise<RunResult> {
  // An instance that is about to end stays drained.
  if (isMaybeDrained(run) && !run.isEnding()) {
    try {
      await run.move({ error: buildReportError(error, error.detail), during });
    } catch (cause) {
      run.log.error({ err: cause }, 'the reason of the failure could not be recorded');
      return { interrupted: true };
    }
    for (const restore of [runUndrainHooks, rejoinTraffic]) {
      try {
        // A cancel must not abort the restoring of traffic.
        await run.despiteCancel(restore);
      } catch (cause) {
        if (await isInterrupted(run, asTriggerDeployError(cause))) return { interrupted: true };
        run.log.error({ err: cause }, 'traffic could not be restored');
      }
    }
  }
  if (error.code === 'INSTANCE_TERMINATING') return { ending: 'cancelled', error, during };
  if (error.code === 'CANCELLED') return { ending: 'cancelled', error, during };
  if (error.code === 'SUPERSEDED') return { ending: 'superseded', error, during };
  run.log.warn({ err: error, step: during }, `${error.message}: nothing was changed`);
  return { ending: 'failed', error, during };
}

/**
 * True if the failure is not evidence against the version: the journal could not be written, or the agent or the machine
 * is stopping. A stop aborts waits and makes units inactive, which looks like a failure of the version.
 */
async function isInterrupted(run: DeploymentRun, error: TriggerDeployError): Promise<boolean> {
  if (isCode(error, 'INTERRUPTED')) return true;
  if (run.stopping.aborted) return true;
  return await run.ports.host.stopping(run.stopping);
}

/** The output of the step that failed, and the end of the service's log; undefined with `reportLog: off`. */
async function failureDetail(run: DeploymentRun, error: TriggerDeployError): Promise<string | undefined> {
  if (!run.service.reportLog) return undefined;
  let tail = '';
  try {
    tail = await run.ports.manager.logTail(run.active().startedAt, run.stopping);
  } catch (cause) {
    run.log.warn({ err: cause }, "the service's log could not be read");
  }
  // A failed start already has the log as its detail.
  const more = error.detail?.includes(tail.trim()) ? '' : tail;
  const parts = [error.detail, more].filter((part) => part !== undefined && part !== '');
  return parts.length === 0 ? undefined : parts.join('\n');
}
