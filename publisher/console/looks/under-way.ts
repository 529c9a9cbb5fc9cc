import { isEnding } from '../../../shared/states.ts';
import { gateBefore } from '../../plan/waves.ts';
import type { DeploymentRecord } from '../../record/deployment-schema.ts';
import type { LockView } from '../../record/lock.ts';
import type { ProcessIdentity } from '../../record/process-identity.ts';
import { isFinal } from '../../rollout/record-outcome.ts';
import { isAwaiting } from '../../rollout/wave-events.ts';
import type { DriverView, UnderWay } from '../api.ts';
import type { Facts } from './facts.ts';

/** What the pages show of a deployment that has not ended. Pure. */

/** Who drives `deployment`, by the lock of its service. `here`: the process of this console. */
function driverOf(deployment: string, lock: LockView, here: ProcessIdentity): DriverView {
  const { owner } = lock;
  if (owner?.deployment !== deployment) return { state: 'none' };
  const isHere = owner.host === here.host && owner.pid === here.pid && owner.started === here.started;
  return {
    state: lock.state === 'held' && !lock.dead ? 'held' : 'stale',
    ...{ who: owner.who, via: owner.host, beatAt: Date.parse(owner.beat) },
    ...(isHere && { isHere }),
  };
}

/** Undefined when the newest deployment has ended, or there is none. */
export function underWayOf(
  { newest, lock, instances }: Pick<Facts, 'newest' | 'lock' | 'instances'>,
  here: ProcessIdentity,
): UnderWay | undefined {
  if (newest === undefined) return undefined;
  const { deployment, expected } = newest;
  const over = new Set(passedIn(newest));
  for (const one of instances) {
    if (one.deployment === deployment && one.state !== undefined && isEnding(one.state))
      over.add(one.instance);
  }
  const done = expected.filter((instance) => over.has(instance)).length;
  return goesOn(newest, lock, { here, done, of: expected.length });
}

/** The instances of the waves that have passed: they have ended, whether or not anything of them was read. */
export function passedIn({ rolling }: DeploymentRecord): string[] {
  const waves = rolling?.waves.filter(({ passedAt }) => passedAt !== undefined) ?? [];
  return waves.flatMap(({ instances }) => instances);
}

/**
 * The deployment as it goes on; undefined when it has ended. `done`: how many of its instances have ended. `lock` must
 * have been read before `record`: a lock that is free says "nobody drives" only of a record that was read later.
 */
export function goesOn(
  record: DeploymentRecord,
  lock: LockView,
  { here, done, of }: { here: ProcessIdentity; done: number; of: number },
): UnderWay | undefined {
  if (isFinal(record)) return undefined;
  const { deployment, version, previous: from, action, issuedBy: by, announcedAt } = record;
  const driver = ownerOf(record, lock, here);
  const since = Date.parse(announcedAt);
  // While another command holds the lock, `resume` is refused.
  const isResumable = record.rolling !== undefined && lock.state !== 'held';
  return {
    ...{ deployment, version, from, action, by, since, driver, done, of },
    ...wavesOf(record),
    ...(isResumable && { resumable: true as const }),
  };
}

/** A publisher that rolls back holds the lock that it took for the deployment before. */
export function ownerOf(record: DeploymentRecord, lock: LockView, here: ProcessIdentity): DriverView {
  const own = driverOf(record.deployment, lock, here);
  if (own.state !== 'none' || record.rollbackOf === undefined) return own;
  return driverOf(record.rollbackOf, lock, here);
}

function wavesOf(record: DeploymentRecord): Pick<UnderWay, 'wave' | 'waiting'> {
  const { rolling } = record;
  if (rolling === undefined) return {};
  const now = rolling.waves.findLastIndex((wave) => wave.announcedAt !== undefined) + 1;
  const wave = { wave: { now, of: rolling.waves.length } };
  if (!isAwaiting(record)) return wave;
  const since = Date.parse(rolling.awaitingSince ?? '');
  const until = rolling.gate === 'time' ? { until: since + (rolling.autoConfirmMs ?? 0) } : {};
  return { ...wave, waiting: { since, ...until, after: gateBefore(rolling) ?? 0 } };
}
