import type { TriggerDeployError } from '../../shared/errors.ts';
import type { Step } from '../../shared/report.ts';
import { buildReportError } from './build-report.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { passChecks } from './step-check.ts';
import { drainForRollback, undrain } from './step-drain.ts';
import { startedSinceSwitch } from './step-start.ts';
import { changeOf } from './step-switch.ts';

/** Records the decision to roll back and its reason; from here on no restart of the agent continues forward. */
export async function decideRollback(
  run: DeploymentRun,
  failure: { error: TriggerDeployError; during: Step; detail: string | undefined },
): Promise<void> {
  const { invocation } = await run.ports.manager.status(run.signal);
  await run.move({
    direction: 'back',
    state: 'switching',
    error: buildReportError(failure.error, failure.detail),
    during: failure.during,
    invocationBefore: invocation,
    hooksDone: { beforeStop: 0, afterStart: 0 },
    // The recoveries of the rollback are counted from 0.
    recoveries: 0,
  });
}

/**
 * Makes the old release run again, healthy, without a download. After a first deploy there is no old release: the unit
 * is stopped and `current` removed. Idempotent: an interrupted rollback runs again.
 * @throws the error that prevents it; the ending is then `broken`.
 */
export async function rollback(run: DeploymentRun): Promise<void> {
  const { previous } = run.active();
  await drainForRollback(run);
  if (previous === null || previous === undefined) {
    await run.ports.manager.stop(run.signal);
    await run.ports.package.switchTo(null, changeOf(run));
    return;
  }
  const change = changeOf(run);
  if (run.active().order.action !== 'restart') await run.ports.package.switchTo(previous, change);
  await run.move({ state: 'starting' });
  // Only if the switch stopped the unit is a later start known to be a start of the old release.
  const isStarted = change.stopped() && (await startedSinceSwitch(run));
  if (!isStarted) await run.ports.manager.restart(run.signal);
  await run.move({ state: 'checking' });
  await passChecks(run, previous);
  await undrain(run);
}
