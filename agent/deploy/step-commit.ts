import type { DeploymentRun } from './deployment-run.ts';
import { joinTraffic } from './drain-traffic.ts';
import { undrain } from './step-drain.ts';

/** Step 6: restores traffic. The runner then journals the ending, which marks the version as good. */
export async function commit(run: DeploymentRun): Promise<void> {
  const { changed, left = [] } = run.active();
  // An earlier deployment could not register the instance with these groups again.
  if (!changed && left.length > 0 && !run.isEnding()) await joinTraffic(run);
  if (!changed) return;
  await undrain(run);
  await run.ports.package.commit?.();
}
