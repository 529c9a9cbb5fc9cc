import type { DeploymentRun } from './deployment-run.ts';
import { joinTraffic } from './drain-traffic.ts';
import { undrain } from './step-drain.ts';

/** Step 6: traffic returns. The ending itself marks the version as good, in one write with its report. */
export async function commit(run: DeploymentRun): Promise<void> {
  const { changed, left = [] } = run.active();
  // Groups that an earlier deployment could not join again.
  if (!changed && left.length > 0) await joinTraffic(run);
  if (!changed) return;
  await undrain(run);
  await run.ports.package.commit?.();
}
