import type { DeploymentRun } from './deployment-run.ts';

/**
 * The load balancer's part of draining. What is to be left is journalled first: whoever takes the deployment up
 * again, or ends it, knows where the instance belongs.
 */
export async function leaveTraffic(run: DeploymentRun): Promise<void> {
  const { traffic } = run.ports;
  if (!traffic) return;
  // An instance that somebody took out before is not put in by a deployment.
  const groups = await everyGroup(run);
  if (groups.length === 0) return run.log.info('in no target group: nothing to take it out of');
  await run.move({ left: groups });
  await traffic.leave(groups, run.note, run.signal);
}

/** In again wherever it was taken out, and healthy wherever it is in. */
export async function joinTraffic(run: DeploymentRun): Promise<void> {
  const { traffic } = run.ports;
  if (!traffic) return;
  const groups = await everyGroup(run);
  await rejoinTraffic(run);
  if (groups.length > 0) await traffic.healthy(groups, run.note, run.signal);
}

/** In again wherever it was taken out; whether it is well there is the load balancer's to find out. */
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
