import type { Desired } from '../../shared/desired.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { rollbackTarget } from '../plan/rollback-target.ts';
import type { Queue } from '../queue/queue.ts';
import { heldError, pausedError, queuedError, type Wanted } from '../queue/refusals.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import { type LockView, locked } from '../record/lock.ts';
import { STALE_MS } from '../record/lock-document.ts';
import type { Pause } from '../record/pauses.ts';
import type { Session } from '../session.ts';
import { lostDesired, lostError } from './lost-desired.ts';

/** Why a change of a service would be refused now: the refusals of the verbs, as a list. */

export interface Obstacle {
  /** The code of the error that the verb would throw; NO_KEY without a signing key. */
  code: string;
  text: string;
  /** What to do about it. */
  hint?: string;
  /** Whether `--queue` waits for its end. */
  waits?: boolean;
}

/** What stands between a publisher and the lock of a service. */
export interface Way {
  pause: Pause | undefined;
  lock: Pick<LockView, 'state' | 'owner' | 'dead'>;
  /** The publishers that wait, without those that are certainly dead. */
  queue: Queue;
}

export function obstacle(error: TriggerDeployError, more: { waits?: boolean } = {}): Obstacle {
  const { code, message, hint } = error;
  return { code, text: message, ...(hint !== undefined && { hint }), ...more };
}

/**
 * What `acquire` would refuse: a pause, a publisher that holds the lock, publishers that wait. A lock without heartbeat is
 * no obstacle: whoever comes next takes it over. Pure.
 */
export function obstaclesOnTheWay(wanted: Wanted, { pause, lock, queue }: Way): Obstacle[] {
  const found: Obstacle[] = [];
  if (pause) found.push(obstacle(pausedError(wanted, pause)));
  const { owner } = lock;
  if (owner && lock.state === 'held' && !lock.dead) {
    const leftMs = STALE_MS - (wanted.now - Date.parse(owner.beat));
    const { env, service, now } = wanted;
    found.push(obstacle(heldError(locked({ env, service, owner }, now, leftMs)), { waits: true }));
  }
  if (queue.length > 0) found.push(obstacle(queuedError(wanted, queue), { waits: true }));
  return found;
}

/** Nothing can be signed without a key. */
export async function obstacleOfKey({ env, signer }: Pick<Session, 'env' | 'signer'>): Promise<Obstacle[]> {
  // Only asked where there is none: to look loads no key.
  if (env.signingKey !== undefined) return [];
  try {
    await signer();
    return [];
  } catch (error) {
    if (!isCode(error)) throw error;
    return [{ ...obstacle(error), code: 'NO_KEY' }];
  }
}

/** What a verb needs of the past: a desired state, a version to return to, a desired state that was not put back. Pure. */
export function obstaclesInThePast(
  { env, service }: Pick<Wanted, 'env' | 'service'>,
  verb: 'rollback' | 'restart',
  { desired, records }: { desired: Desired | undefined; records: readonly DeploymentRecord[] },
): Obstacle[] {
  const lost = lostDesired(desired, records);
  if (lost !== undefined) return [obstacle(lostError(env, desired, lost))];
  if (verb === 'restart') return desired ? [] : [obstacle(neverDeployed(env, service))];
  if (rollbackTarget(desired, records) !== undefined) return [];
  return [obstacle(nothingToRollBackTo(env, service, desired?.version))];
}

/** What `check` refuses, such as `checkRequired`: a refusal is an obstacle. @throws AWS_UNREACHABLE and the like. */
export async function obstacleOf(check: () => Promise<unknown>): Promise<Obstacle[]> {
  try {
    await check();
    return [];
  } catch (error) {
    if (!isCode(error) || isCode(error, 'AWS_UNREACHABLE', 'TIMEOUT', 'INTERRUPTED', 'INTERNAL')) throw error;
    return [obstacle(error)];
  }
}

export function neverDeployed(env: string, service: string): TriggerDeployError {
  return new TriggerDeployError('SERVICE_NOT_FOUND', `${service} was never deployed in ${env}`, {
    hint: `trigger-deploy ${service} VERSION --env ${env} deploys it`,
  });
}

export function nothingToRollBackTo(
  env: string,
  service: string,
  current: string | undefined,
): TriggerDeployError {
  const why =
    current === undefined
      ? `was never deployed in ${env}`
      : `has no version before ${current} in its history`;
  return new TriggerDeployError('NOTHING_TO_ROLL_BACK_TO', `${service} ${why}`, {
    hint: `name a version: trigger-deploy rollback ${service} --to VERSION --env ${env}`,
  });
}
