import { TriggerDeployError } from '../../shared/errors.ts';
import type { Manifest } from '../../shared/manifest.ts';
import { keys } from '../../shared/names.ts';
import type { ExitCode } from '../events.ts';
import type { Change } from '../plan/change.ts';
import type { Ticket } from '../queue/ticket.ts';
import { begun } from '../record/begun.ts';
import type { Session } from '../session.ts';
import { previousVersion, readBaseline } from './baseline.ts';
import { drive } from './drive.ts';
import { warnIfLost } from './lost-desired.ts';
import { type RolloutOptions, start } from './start.ts';

export interface DeployVersionOptions extends RolloutOptions {
  reason?: string | undefined;
  /** For a promotion, the environment that the version was promoted from. */
  promotedFrom?: string | undefined;
  /** As in `AcquireRequest`. */
  ifSequence?: number | undefined;
}

/**
 * Starts the deployment of a pushed version and drives it to its end. The caller holds the lock, and has checked that
 * the version may be deployed here.
 * @returns the exit code of the deployment. @throws VERSION_NOT_FOUND when it was deleted meanwhile; as `start` and `drive`.
 */
export async function deployVersion(
  session: Session,
  ticket: Ticket,
  { service, version, artifacts }: Manifest,
  options: DeployVersionOptions,
): Promise<ExitCode> {
  const { reason, promotedFrom, ifSequence } = options;
  const there = begun(session.record.objects.exists(keys.manifest(service, version)));
  const { lock, reads } = ticket;
  const baseline = await readBaseline(session, service, lock.sequence, reads, ifSequence);
  // `gc` may have deleted it before the lock was taken; it holds the same lock.
  if (!(await there)) throw deletedMeanwhile(service, version);
  warnIfLost(session, baseline.desired, baseline.lost);
  const previous = previousVersion(baseline);
  const change: Change = {
    ...{ service, version, artifacts, action: 'deploy', previous, reason, promotedFrom },
  };
  const stored = await start(session, ticket, change, options);
  return await drive(session, ticket.lock, stored, options);
}

function deletedMeanwhile(service: string, version: string): TriggerDeployError {
  return new TriggerDeployError('VERSION_NOT_FOUND', `${service} ${version} was deleted meanwhile`, {
    hint: 'push it again, or deploy another version: trigger-deploy versions lists them',
  });
}
