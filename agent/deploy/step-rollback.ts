import type { TriggerDeployError } from '../../shared/errors.ts';
import type { Step } from '../../shared/states.ts';
import { buildReportError } from './build-report.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { assertRuns, processIds } from './running-version.ts';
import { passChecks } from './step-check.ts';
import { drainForRollback, undrain } from './step-drain.ts';
import { startedSinceSwitch } from './step-start.ts';
import { changeOf } from './step-switch.ts';
import { areTriggersUp, stoppedTriggers, stopService } from './stop-service.ts';

/** Journals the decision to roll back, and the reason. An agent that restarts later continues the rollback. */
export async function decideRollback(
  run: DeploymentRun,
  failure: { error: TriggerDeployError; during: Step; detail: string | undefined },
): Promise<void> {
  const { invocation } = await run.ports.manager.status(run.signal);
  const processesBeforeRollback = await processIds(run);
  await run.move({
    direction: 'back',
    state: 'switching',
    error: buildReportError(failure.error, failure.detail),
    during: failure.during,
    invocationBefore: invocation,
    processesBeforeRollback,
    // A warning is about the version that is looked at next: the one before.
    warning: undefined,
    hooksDone: { beforeStop: 0, afterStart: 0 },
    // The recoveries of the rollback are counted from 0.
    recoveries: 0,
    restarts: 0,
  });
}

/**
 * Makes the old release run again, without a download, and checks it. After a first deploy there is no old release: the
 * unit is stopped and `current` is removed. Idempotent: an interrupted rollback runs again.
 * @throws the error that prevents the rollback; the ending is then `broken`.
 */
export async function rollback(run: DeploymentRun): Promise<void> {
  const { previous } = run.active();
  await drainForRollback(run);
  if (previous === null || previous === undefined) {
    await stopService(run);
    await run.ports.package.switchTo(null, changeOf(run));
    return;
  }
  const change = changeOf(run);
  if (run.active().order.action !== 'restart') await run.ports.package.switchTo(previous, change);
  await run.move({ state: 'starting' });
  // If the switch stopped the unit, a start after it can only be a start of the old release: no restart is needed.
  const isStarted = change.stopped() && (await startedSinceSwitch(run)) && (await areTriggersUp(run));
  if (!isStarted) await run.ports.manager.restart(run.signal, stoppedTriggers(run));
  await run.move({ state: 'checking' });
  await passChecks(run, previous);
  await assertRuns(run, previous);
  await undrain(run);
}
