import type { DeploymentRun } from './deployment-run.ts';
import type { Change } from './ports.ts';

/**
 * Step 3: `current` points at the new release. The unit's invocation is recorded first: a later one shows that the
 * unit was started since, no matter by what. From here on a failure causes a rollback.
 */
export async function switchRelease(run: DeploymentRun): Promise<void> {
  const { invocation } = await run.ports.manager.status(run.signal);
  await run.move({ state: 'switching', invocationBefore: invocation });
  if (run.active().order.action === 'restart') return;
  await run.ports.package.switchTo(run.active().order.version, changeOf(run));
}

/**
 * Whether a failed switch changed nothing: the old release is current and complete, and the unit was not restarted
 * (as when the dpkg lock was not free). Then there is nothing to roll back.
 */
export async function isUntouched(run: DeploymentRun): Promise<boolean> {
  const { state, direction, previous, invocationBefore } = run.active();
  if (direction !== 'forward' || state !== 'switching' || previous == null) return false;
  const { package: packageType, manager } = run.ports;
  try {
    if ((await packageType.current()) !== previous || !(await packageType.isWhole())) return false;
    const { active, invocation } = await manager.status(run.stopping);
    return active && invocation !== null && invocation === invocationBefore;
  } catch {
    return false;
  }
}

/** The change that the next switch of `run` belongs to; `stopped` tells whether the switch stopped the service. */
export function changeOf(run: DeploymentRun): Change & { stopped(): boolean } {
  const { order, direction, recoveries, previous } = run.active();
  let stopped = false;
  return {
    deployment: order.deployment,
    direction,
    attempt: recoveries + 1,
    again: direction === 'forward' && previous === order.version,
    async stop() {
      await run.ports.manager.stop(run.signal);
      stopped = true;
    },
    stopped: () => stopped,
    note: run.note,
    signal: run.signal,
  };
}
