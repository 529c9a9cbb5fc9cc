import type { ExitCode } from '../events.ts';
import type { Lock } from '../record/held-lock.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import type { Session } from '../session.ts';
import { driveAllAtOnce } from './all-at-once.ts';
import { rollBackIfDue } from './auto-rollback.ts';
import type { Driving } from './driving.ts';
import { withPulse } from './pulse.ts';
import { driveWaves } from './waves.ts';

/**
 * Drives a deployment to its end, then carries out the rollback if the outcome requires one. The caller holds the lock.
 * @returns the exit code of the deployment, not of its rollback.
 * @throws FENCED when the lock was lost; AWS_*; TOPIC_NOT_FOUND.
 */
export async function drive(
  session: Session,
  lock: Lock,
  stored: StoredDeployment,
  driving: Driving,
): Promise<ExitCode> {
  const driveOne = stored.value.rolling ? driveWaves : driveAllAtOnce;
  // The rollback runs before the reply queue is deleted: the deletion would delay it, and agents may still reply.
  return await withPulse(session, stored, async (heard) => {
    const { exitCode } = await driveOne(heard, lock, stored, driving, (settled) =>
      rollBackIfDue(heard, lock, settled, driving.detach),
    );
    return exitCode;
  });
}
