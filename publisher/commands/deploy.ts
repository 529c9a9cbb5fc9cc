import { TriggerDeployError } from '../../shared/errors.ts';
import { newUlid } from '../../shared/names.ts';
import type { ExitCode } from '../events.ts';
import { type Conduct, rollOut } from '../rollout.ts';
import type { Session } from '../session.ts';
import { standingBefore, versionToReturnTo } from '../standing.ts';

export interface DeployOptions {
  service: string;
  /** A version, or `latest`: the newest push. */
  version: string;
  wait: boolean;
  timeoutMs: number;
  reason?: string | undefined;
  allowMissing: number;
  maxFailures: number;
  onFailure: 'rollback' | 'stop';
  /** Aborted by Ctrl-C. */
  detach: AbortSignal;
}

/**
 * `trigger-deploy SERVICE VERSION`, by strategy `all`. Nothing is locked, written or announced before the
 * manifest is verified.
 * @throws VERSION_NOT_FOUND, SERVICE_NOT_FOUND, LOCKED, FENCED, SIGNATURE_INVALID, AWS_*; CANCELLED when
 * detached before there was anything to leave running.
 */
export async function deploy(session: Session, options: DeployOptions): Promise<ExitCode> {
  const { service, wait, detach } = options;
  await session.signer();
  const { version, artifacts } = await session.ledger.versions.resolve(service, options.version);
  const deployment = newUlid(session.clock.now());
  const lock = await takeLock(session, { service, command: 'deploy', deployment, detach });
  try {
    const previous = versionToReturnTo(await standingBefore(session, service));
    const ticket = { deployment, sequence: lock.sequence, lock };
    const change = {
      service,
      version,
      artifacts,
      action: 'deploy',
      previous,
      reason: options.reason,
    } as const;
    refuseIfDetached(detach);
    return await rollOut(session, ticket, change, conductOf(options, !wait));
  } finally {
    await lock.release();
  }
}

export function conductOf(
  options: Pick<
    DeployOptions,
    'wait' | 'timeoutMs' | 'allowMissing' | 'maxFailures' | 'onFailure' | 'detach'
  >,
  desiredFirst: boolean,
): Conduct {
  const { wait, detach, allowMissing, maxFailures, onFailure, timeoutMs } = options;
  return { wait, detach, desiredFirst, policy: { allowMissing, maxFailures, onFailure, timeoutMs } };
}

interface LockWanted {
  service: string;
  command: string;
  deployment: string;
  detach: AbortSignal;
}

/** Waiting for a lock that looks dead ends with Ctrl-C. */
export async function takeLock(session: Session, { detach, ...wanted }: LockWanted) {
  const signal = AbortSignal.any([session.signal, detach]);
  try {
    return await session.ledger.locks.take({ ...wanted, signal });
  } catch (error) {
    refuseIfDetached(detach);
    throw error;
  }
}

/** Before anything is announced there is nothing to detach from. */
export function refuseIfDetached(detach: AbortSignal): void {
  if (detach.aborted) throw new TriggerDeployError('CANCELLED', 'interrupted before anything was announced');
}
