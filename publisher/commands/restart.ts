import type { ExitCode } from '../events.ts';
import type { Change } from '../plan/change.ts';
import { acquire } from '../queue/acquire.ts';
import type { QueueMode } from '../queue/wait.ts';
import { readBaseline } from '../rollout/baseline.ts';
import { refuseUnverified } from '../rollout/confirmation.ts';
import { drive } from '../rollout/drive.ts';
import { refuseIfLost } from '../rollout/lost-desired.ts';
import { neverDeployed } from '../rollout/obstacles.ts';
import { type RolloutOptions, start } from '../rollout/start.ts';
import type { Session } from '../session.ts';

export interface RestartOptions extends RolloutOptions {
  service: string;
  reason?: string | undefined;
  /** `--queue`, `--jump`: wait while other publishers change the service. */
  queueMode?: QueueMode;
  /** The sequence of the desired state that this command may change; 0: none. Any when left out. */
  ifSequence?: number | undefined;
}

/**
 * `trigger-deploy restart SERVICE`: restarts the desired version, with drain, checks and waves as in
 * a deployment. The version and the desired state do not change.
 * @throws SERVICE_NOT_FOUND when the service has no desired state; RECORD_DAMAGED when an old desired state was put back;
 * and as `deploy`.
 */
export async function restart(session: Session, options: RestartOptions): Promise<ExitCode> {
  const { service, detach, reason, queueMode, ifSequence } = options;
  refuseUnverified(session);
  await session.signer();
  const wanted = { service, command: 'restart', reason, queueMode, ifSequence, detach };
  const ticket = await acquire(session, wanted);
  try {
    const { lock, reads } = ticket;
    const { desired, records } = await readBaseline(session, service, lock.sequence, reads, ifSequence);
    await refuseIfLost(session, desired, records, { service, ask: true, keeps: true });
    if (desired === undefined) {
      throw neverDeployed(session.env.name, service);
    }
    const { version, artifacts } = desired;
    const change: Change = { service, version, artifacts, action: 'restart', previous: version, reason };
    const stored = await start(session, ticket, change, options);
    return await drive(session, ticket.lock, stored, options);
  } finally {
    await ticket.lock.release();
  }
}
