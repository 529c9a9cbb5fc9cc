import { changeOf } from './change.ts';
import type { Run } from './run.ts';

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
