import type { Run } from './run.ts';
import { undrain } from './step-drain.ts';

/** Step 6: traffic back. What is marked last-good is the ending itself, one write with its report. */
export async function commit(run: Run): Promise<void> {
  if (!run.active().changed) return;
  await undrain(run);
  await run.ports.package.commit?.();
}
