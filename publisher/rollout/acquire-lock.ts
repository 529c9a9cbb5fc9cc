import type { Lock } from '../record/held-lock.ts';
import { refuseIfDetached, type Session } from '../session.ts';

/**
 * Takes the lock, without queue and without a check for pauses, for a command that continues an existing deployment.
 * @throws LOCKED; CANCELLED when detached.
 */
export async function acquireLock(
  session: Session,
  { detach, ...wanted }: { service: string; command: string; deployment: string; detach: AbortSignal },
): Promise<Lock> {
  const signal = AbortSignal.any([session.signal, detach]);
  try {
    return await session.record.locks.take({ ...wanted, signal });
  } catch (error) {
    refuseIfDetached(detach);
    throw error;
  }
}
