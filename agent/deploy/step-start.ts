import type { DeploymentRun } from './deployment-run.ts';
import { areTriggersUp, stoppedTriggers } from './stop-service.ts';

/**
 * Step 4: starts the unit with the release that `current` points at. A unit that was started after the switch began (by
 * an agent that was then killed, or by a maintainer script) is not started again.
 */
export async function start(run: DeploymentRun): Promise<void> {
  await run.move({ state: 'starting' });
  if ((await startedSinceSwitch(run)) && (await areTriggersUp(run))) return;
  const { mainPid, summary, trouble } = await run.ports.manager.restart(run.signal, stoppedTriggers(run));
  run.log.info({ pid: mainPid, unit: summary }, 'started');
  if (trouble) run.log.warn({ hint: trouble.hint }, trouble.problem);
}

/** Whether the unit is active and its invocation differs from the one recorded before the switch. */
export async function startedSinceSwitch(run: DeploymentRun): Promise<boolean> {
  const { invocationBefore } = run.active();
  const { active, invocation } = await run.ports.manager.status(run.signal);
  return active && invocation !== null && invocationBefore !== undefined && invocation !== invocationBefore;
}
