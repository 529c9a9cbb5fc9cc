import { TriggerDeployError } from '../../shared/errors.ts';
import type { DeploymentRun } from './deployment-run.ts';

/**
 * Refuses a deployment that would fail after its stop, and whose rollback might fail for the same reason.
 * Warnings become notes of the report. @throws NOT_READY; nothing is stopped yet.
 */
export async function assertReady(run: DeploymentRun): Promise<void> {
  const { readiness } = run.ports;
  if (!readiness) return;
  const findings = await readiness.inspect(run.active().order.version, run.signal);
  const problems = findings.filter(({ ok }) => !ok);
  const [first] = problems;
  if (!first) {
    for (const { what, hint } of findings) if (hint !== undefined) run.note(`${what}: ${hint}`);
    return;
  }
  throw new TriggerDeployError('NOT_READY', problems.map(({ what }) => what).join('; '), {
    hint: first.hint,
  });
}
