import type { DeploymentRun } from './deployment-run.ts';
import type { ServiceStatus } from './service-port.ts';
import { areTriggersUp, stoppedTriggers } from './stop-service.ts';

/**
 * Step 4: starts the unit with the release that `current` points at. A unit that was started after the switch began (by
 * an agent that was then killed, or by a maintainer script) is not started again: `maybeStarted` says whether that is
 * possible. Returns the status after the start; undefined when it did not start the unit.
 */
export async function start(run: DeploymentRun, maybeStarted: boolean): Promise<ServiceStatus | undefined> {
  await run.move({ state: 'starting' });
  if (maybeStarted && (await startedSinceSwitch(run)) && (await areTriggersUp(run))) return undefined;
  const status = await run.ports.manager.restart(run.signal, stoppedTriggers(run));
  const { mainPid, summary, trouble } = status;
  run.log.info({ pid: mainPid, unit: summary }, 'started');
  if (trouble) run.log.warn({ hint: trouble.hint }, trouble.problem);
  return status;
}

/** Whether the unit is active and its invocation differs from the one recorded before the switch. */
export async function startedSinceSwitch(run: DeploymentRun): Promise<boolean> {
  const { invocationBefore } = run.active();
  const { active, invocation } = await run.ports.manager.status(run.signal);
  return active && invocation !== null && invocationBefore !== undefined && invocation !== invocationBefore;
}
