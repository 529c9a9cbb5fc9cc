import type { ExitCode } from '../events.ts';
import { acquire } from '../queue/acquire.ts';
import type { QueueMode } from '../queue/wait.ts';
import { begun } from '../record/begun.ts';
import { refuseUnverified } from '../rollout/confirmation.ts';
import { deployVersion } from '../rollout/deploy-version.ts';
import { checkRequired } from '../rollout/requires.ts';
import type { RolloutOptions } from '../rollout/start.ts';
import type { Session } from '../session.ts';

export interface DeployOptions extends RolloutOptions {
  service: string;
  /** A version, or `latest`: the newest push. */
  version: string;
  reason?: string | undefined;
  /** `--queue`, `--jump`: wait while other publishers change the service. */
  queueMode?: QueueMode;
  /** The sequence of the desired state that this command may change; 0: none. Any when left out. */
  ifSequence?: number | undefined;
}

/**
 * `trigger-deploy SERVICE VERSION`: deploys to all instances at once, or in waves. Nothing is locked, written or
 * announced before the manifest is verified.
 * @throws NOT_PROVEN where `requires:` is not met, VERSION_NOT_FOUND, SERVICE_NOT_FOUND, INSTANCE_NOT_FOUND, PAUSED,
 * CHANGED, LOCKED, FENCED, SIGNATURE_INVALID, AWS_*; CANCELLED when detached before anything was announced.
 */
export async function deploy(session: Session, options: DeployOptions): Promise<ExitCode> {
  const { service, reason, queueMode, ifSequence, detach } = options;
  refuseUnverified(session);
  await session.signer();
  const resolving = session.record.versions.resolve(service, options.version);
  const checked = begun(resolving.then((manifest) => checkRequired(session, manifest)));
  // The publishers that wait behind this one are told the version.
  const version = queueMode === undefined ? options.version : (await resolving).version;
  const wanted = { service, version, command: 'deploy', reason, queueMode, ifSequence, checked, detach };
  const ticket = await acquire(session, wanted);
  try {
    return await deployVersion(session, ticket, await resolving, options);
  } finally {
    await ticket.lock.release();
  }
}
