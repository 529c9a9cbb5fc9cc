import type { DeploymentRun } from './deployment-run.ts';

/**
 * Takes the instance out of its target groups. The groups are journalled first, so that after a kill the agent still
 * knows which groups the instance belongs to.
 */
export async function leaveTraffic(run: DeploymentRun): Promise<void> {
  const { traffic } = run.ports;
  if (!traffic) return;
  // An instance that an operator took out of a group stays out of it.
  const groups = await everyGroup(run);
  if (groups.length === 0) return run.log.info('the instance is in no target group: nothing to drain');
  await run.move({ left: groups });
  await traffic.leave(groups, run.note, run.signal);
}

/** Registers the instance again where this deployment took it out, and waits until every group reports it healthy. */
export async function joinTraffic(run: DeploymentRun): Promise<void> {
  const { traffic } = run.ports;
  if (!traffic) return;
  const groups = await everyGroup(run);
  await rejoinTraffic(run);
  if (groups.length > 0) await traffic.healthy(groups, run.note, run.signal);
}

/** Registers the instance again where this deployment took it out, without waiting for its health. */
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
