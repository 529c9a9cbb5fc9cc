import type { DeploymentRun } from './deployment-run.ts';
import type { Change } from './ports.ts';
import { processIds } from './running-version.ts';
import { areTriggersUp, stopService } from './stop-service.ts';

/**
 * Step 3: points `current` at the new release. The unit's invocation is journalled first: a different one later shows
 * that something started the unit. From here on, a failure causes a rollback unless `isUntouched`.
 */
export async function switchRelease(run: DeploymentRun): Promise<void> {
  const { invocation } = await run.ports.manager.status(run.signal);
  // A switch that runs again may find what the first run started: an agent that deploys itself is that process.
  const processesBefore = run.active().processesBefore ?? (await processIds(run));
  await run.move({ state: 'switching', invocationBefore: invocation, processesBefore });
  if (run.active().order.action === 'restart') return;
  await run.ports.package.switchTo(run.active().order.version, changeOf(run));
}

/**
 * Whether a failed switch changed nothing: the old release is current and complete, and the unit was not restarted. For
 * example, another program held the dpkg lock. Then there is nothing to roll back.
 */
export async function isUntouched(run: DeploymentRun): Promise<boolean> {
  const { state, direction, previous, invocationBefore } = run.active();
  if (direction !== 'forward' || state !== 'switching' || previous == null) return false;
  const { package: packageType, manager } = run.ports;
  try {
    if ((await packageType.current()) !== previous || !(await packageType.isWhole())) return false;
    if (!(await areTriggersUp(run))) return false;
    const { active, invocation } = await manager.status(run.stopping);
    return active && invocation !== null && invocation === invocationBefore;
  } catch {
    return false;
  }
}

/** What the next switch of `run` gets. `stopped` returns whether the switch has stopped the service. */
export function changeOf(run: DeploymentRun): Change & { stopped(): boolean } {
  const { order, direction, recoveries, previous } = run.active();
  let stopped = false;
  return {
    deployment: order.deployment,
    direction,
    attempt: recoveries + 1,
    again: direction === 'forward' && previous === order.version,
    async stop() {
      await stopService(run);
      stopped = true;
    },
    stopped: () => stopped,
    note: run.note,
    signal: run.signal,
  };
}
