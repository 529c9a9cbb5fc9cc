import type { DeploymentRun } from './deployment-run.ts';

/**
 * Deregisters the instance from its target groups, and waits until it is drained. The groups are journalled first, so
 * that after a kill the agent knows in which groups it has to register the instance again.
 */
export async function leaveTraffic(run: DeploymentRun): Promise<void> {
  const { traffic } = run.ports;
  if (!traffic) return;
  // A group that an operator took the instance out of is not among them: the instance stays out of it.
  const groups = await everyGroup(run);
  if (groups.length === 0) return run.log.info('the instance is in no target group: nothing to drain');
  await run.move({ left: groups });
  await traffic.leave(groups, run.note, run.signal);
}

/** Registers the instance again with the groups in `left`, and waits until all its groups report it healthy. */
export async function joinTraffic(run: DeploymentRun): Promise<void> {
  const { traffic } = run.ports;
  if (!traffic) return;
  const groups = await everyGroup(run);
  await rejoinTraffic(run);
  if (groups.length > 0) await traffic.healthy(groups, run.note, run.signal);
}

/** Registers the instance again with the groups in `left`. Does not wait for its health. */
export async function rejoinTraffic(run: DeploymentRun): Promise<void> {
  const { left = [] } = run.active();
  if (!run.ports.traffic || left.length === 0) return;
  await run.ports.traffic.join(left, run.signal);
  await run.move({ left: [] });
}

async function everyGroup({ ports, active, signal }: DeploymentRun): Promise<string[]> {
  const registered = (await ports.traffic?.groups(signal)) ?? [];
  return [...new Set([...(active().left ?? []), ...registered])];
}
