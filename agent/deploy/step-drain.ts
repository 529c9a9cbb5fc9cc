import { commandEnvironment } from './command-environment.ts';
import type { DeploymentRun } from './deployment-run.ts';
import { joinTraffic, leaveTraffic } from './drain-traffic.ts';
import type { Hook } from './ports.ts';
import { assertReady } from './readiness.ts';

/**
 * Step 2: stops traffic to the instance. The load balancer comes first, because after a `beforeStop` hook the service
 * may no longer be able to answer. Each hook runs once. On a first deploy, a service that does not run is not drained.
 */
export async function drain(run: DeploymentRun): Promise<void> {
  // Again: a deployment may have been held for an hour since it was prepared.
  await assertReady(run);
  await run.move({ state: 'draining' });
  if (run.active().previous === null && !(await run.ports.manager.status(run.signal)).active) return;
  await leaveTraffic(run);
  await runHooks(run, 'beforeStop');
}

/**
 * Restores traffic: runs each `afterStart` hook once, then registers the instance and waits until it is healthy. An
 * instance that is about to end stays drained.
 */
export async function undrain(run: DeploymentRun): Promise<void> {
  if (run.isEnding()) return;
  const { service, ports } = run;
  const hasTraffic = service.hooks.afterStart.length > 0 || ports.traffic !== undefined;
  if (hasTraffic && !run.active().givenBack) await run.move({ givenBack: true });
  await runHooks(run, 'afterStart');
  await joinTraffic(run);
}

/** Drains again before a rollback stops a service to which traffic may have returned. Ignores failures of the drain. */
export async function drainForRollback(run: DeploymentRun): Promise<void> {
  if (!run.active().givenBack) return;
  await run.move({ hooksDone: { beforeStop: 0, afterStart: 0 } });
  try {
    await leaveTraffic(run);
    await runHooks(run, 'beforeStop');
  } catch (error) {
    run.signal.throwIfAborted();
    run.log.error({ err: error }, 'rolling back without having drained');
  }
}

/** Undoes the `beforeStop` hooks of a deployment that stopped nothing, by running the `afterStart` hooks. */
export async function runUndrainHooks(run: DeploymentRun): Promise<void> {
  if (run.service.hooks.beforeStop.length > 0) await runHooks(run, 'afterStart');
}

/** Whether traffic may have been stopped, so that it has to be restored. */
export function isMaybeDrained(run: DeploymentRun): boolean {
  const { state, left = [] } = run.active();
  const hasDrained = state === 'draining' || state === 'switching';
  return hasDrained && (run.service.hooks.beforeStop.length > 0 || left.length > 0);
}

async function runHooks(run: DeploymentRun, kind: 'beforeStop' | 'afterStart'): Promise<void> {
  const hooks: readonly Hook[] = run.service.hooks[kind];
  const environment = hookEnvironment(run);
  for (let done = run.active().hooksDone[kind]; done < hooks.length; done += 1) {
    const hook = hooks[done] as Hook;
    run.signal.throwIfAborted();
    run.note(`hook ${hook.run[0]}`);
    await run.runHook(hook, environment);
    await run.move({ hooksDone: { ...run.active().hooksDone, [kind]: done + 1 } });
  }
}

function hookEnvironment(run: DeploymentRun): Record<string, string> {
  const { order, previous, direction } = run.active();
  const isForward = direction === 'forward';
  return commandEnvironment({
    env: run.identity.env,
    instance: run.identity.instance,
    service: order.service,
    version: isForward ? order.version : (previous ?? ''),
    previous: isForward ? (previous ?? '') : order.version,
    deployment: order.deployment,
    action: isForward ? order.action : 'rollback',
  });
}
