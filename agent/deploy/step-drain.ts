import type { Hook } from './ports.ts';
import type { Run } from './run.ts';

/** Step 2: the `beforeStop` hooks, each once. Nothing is drained where nothing runs. */
export async function drain(run: Run): Promise<void> {
  await run.move({ state: 'draining' });
  if (run.active().previous === null && !(await run.ports.manager.status(run.signal)).active) return;
  await runHooks(run, 'beforeStop');
}

/** Traffic back: the `afterStart` hooks, each once. */
export async function undrain(run: Run): Promise<void> {
  await runHooks(run, 'afterStart');
}

/** Whether a hook may have taken traffic away, so that whoever turns back must undrain. */
export function mayBeDrained(run: Run): boolean {
  const { state } = run.active();
  return (state === 'draining' || state === 'switching') && run.service.hooks.beforeStop.length > 0;
}

async function runHooks(run: Run, kind: 'beforeStop' | 'afterStart'): Promise<void> {
  const hooks: readonly Hook[] = run.service.hooks[kind];
  const environment = hookEnvironment(run);
  for (let done = run.active().hooksDone[kind]; done < hooks.length; done += 1) {
    const hook = hooks[done] as Hook;
    run.signal.throwIfAborted();
    run.note(`hook ${hook.run[0]}`);
    await run.ports.hooks.run(hook, environment, run.unlessCancelled);
    await run.move({ hooksDone: { ...run.active().hooksDone, [kind]: done + 1 } });
  }
}

function hookEnvironment(run: Run): Record<string, string> {
  const { order, previous, direction } = run.active();
  return {
    TRIGGER_DEPLOY_DEPLOYMENT: order.deployment,
    TRIGGER_DEPLOY_SERVICE: order.service,
    TRIGGER_DEPLOY_VERSION: direction === 'forward' ? order.version : (previous ?? ''),
    TRIGGER_DEPLOY_PREVIOUS: direction === 'forward' ? (previous ?? '') : order.version,
    TRIGGER_DEPLOY_ACTION: direction === 'forward' ? order.action : 'rollback',
    TRIGGER_DEPLOY_ENV: run.identity.env,
    TRIGGER_DEPLOY_INSTANCE: run.identity.instance,
  };
}
