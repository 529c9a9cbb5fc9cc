import { timeSpan } from '../../shared/spans.ts';
import type { DeploymentRun } from './deployment-run.ts';
import type { StoppedTriggers } from './service-port.ts';

/** The triggers of a service (systemd: its sockets, timers and paths) stop with it and start with it again. */

/** Stops the service and its triggers. Journals the triggers that are up first. @throws STOP_FAILED. */
export async function stopService(run: DeploymentRun): Promise<void> {
  const { manager } = run.ports;
  const up = (await manager.triggers?.(run.signal)) ?? [];
  const noted = run.active().triggers ?? [];
  const all = [...new Set([...noted, ...up])];
  if (all.length > noted.length) await run.move({ triggers: all });
  await timeSpan('stop', () => manager.stop(run.signal));
}

/** What a restart has to start besides the service. */
export function stoppedTriggers(run: DeploymentRun): StoppedTriggers {
  const { triggers = [], previous } = run.active();
  return { names: triggers, enabled: previous == null };
}

/** Whether each trigger that the deployment has stopped is up again. */
export async function areTriggersUp(run: DeploymentRun): Promise<boolean> {
  const { triggers = [] } = run.active();
  if (triggers.length === 0) return true;
  const up = (await run.ports.manager.triggers?.(run.stopping)) ?? [];
  return triggers.every((name) => up.includes(name));
}
