import type { TriggerDeployError } from '../../shared/errors.ts';
import type { Step } from '../../shared/report.ts';
import { buildReportError } from './build-report.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { passChecks } from './step-check.ts';
import { drainForRollback, undrain } from './step-drain.ts';
import { startedSinceSwitch } from './step-start.ts';
import { changeOf } from './step-switch.ts';

/** Records that it goes back, and why; from here on no restart of the agent makes it go forward again. */
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
    // The way back has tries of its own.
    recoveries: 0,
  });
}

/**
 * The old release runs again and is healthy, with no download. After a first deploy nothing ran before: the
 * unit is stopped and `current` removed. Idempotent: an interrupted rollback is simply run again.
 * @throws whatever keeps the old release from running; the ending then is `broken`.
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
  // Only of a unit that was down in between is a new start known to be one of the old release.
  const isStarted = change.stopped() && (await startedSinceSwitch(run));
  if (!isStarted) await run.ports.manager.restart(run.signal);
  await run.move({ state: 'checking' });
  await passChecks(run, previous);
  await undrain(run);
}
