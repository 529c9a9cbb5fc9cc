import { changeOf } from './change.ts';
import type { Run } from './deployment-run.ts';

/**
 * Step 3: `current` points at the new release. The invocation is recorded first: the start that follows is
 * recognised by its having changed, whoever made it. From here on a failure is a rollback.
 */
export async function switchRelease(run: Run): Promise<void> {
  const { invocation } = await run.ports.manager.status(run.signal);
  await run.move({ state: 'switching', invocationBefore: invocation });
  if (run.active().order.action === 'restart') return;
  await run.ports.package.switchTo(run.active().order.version, changeOf(run));
}

/**
 * Whether a switch that failed left everything as it was: the old release is current and whole, and the unit was not
 * started since, as when dpkg's lock could not be had. Then there is nothing to go back to, and nothing to restart.
 */
export async function isUntouched(run: Run): Promise<boolean> {
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
