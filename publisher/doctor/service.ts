import type { Desired } from '../../shared/desired.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { isBeyondReach } from '../../shared/sequence.ts';
import { pauseText } from '../record/pauses.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import { lostDesired, lostText } from '../rollout/lost-desired.ts';
import type { Session } from '../session.ts';
import type { DoctorFinding } from './finding.ts';
import { examineAnswers, examineDrift } from './fleet.ts';
import { examineStale } from './stale.ts';

/** What the bucket holds about one service, compared with the signatures, with itself and with what the instances say. */

export interface ServiceToExamine {
  service: string;
  /** The instances in the record, and the answers to a roll call. */
  known: readonly InstanceRecord[];
  fleet: readonly InstanceRecord[];
  repair: boolean;
}

/**
 * With `repair` it sets a lock right that is unreadable, counts too high or too low, and removes what dead publishers left.
 * Nothing else is changed: what another writer deleted or put back, a person decides. @throws AWS_*.
 */
export async function examineService(
  session: Session,
  { service, known, fleet, repair }: ServiceToExamine,
): Promise<DoctorFinding[]> {
  const recent = await session.record.deployments.recent(service);
  // One of many decides nothing: the answers of the others may drown in its replies.
  const voices = fleet.length < 2 && known.length > 1 ? [] : fleet;
  const desired = await desiredOf(session, service);
  const highest = highestOf(desired?.sequence ?? 0, recent, voices, session.clock.now());
  const state = await desiredState(session, service, recent);
  const findings = [
    state,
    ...(await records(session, service)),
    ...(await unsettled(session, service, recent)),
    await pauses(session, service),
    await lock(session, service, highest, repair),
    ...(await examineStale(session, { service, open: isOpen(recent[0]), repair })),
    ...examineAnswers(known, fleet),
    // A desired state that was put back says nothing about the instances.
    ...(state.state === 'ok' ? examineDrift(session.env.name, desired, fleet) : []),
  ];
  return findings.map((one) => ({ ...one, service }));
}

async function desiredState(
  { record, env }: Session,
  service: string,
  recent: readonly StoredDeployment[],
): Promise<DoctorFinding> {
  const id = 'desired-state';
  const deployAnew = `trigger-deploy ${service} VERSION --env ${env.name} sets it anew`;
  try {
    const desired = (await record.desired.read(service))?.value;
    const lost = lostDesired(
      desired,
      recent.map(({ value }) => value),
    );
    if (lost !== undefined) return { id, state: 'wrong', what: lostText(desired, lost), hint: deployAnew };
    if (desired === undefined) return { id, state: 'ok', what: 'there is no desired state yet' };
    const { version, sequence, changedBy, changedAt } = desired;
    return {
      id,
      state: 'ok',
      what: `the desired state is ${version} (sequence ${sequence}, by ${changedBy} at ${changedAt})`,
    };
  } catch (error) {
    return unverified(error, `delete it or restore its last version, then ${deployAnew}`);
  }
}

/** The records that cannot be verified. @throws what is not about their form or signature. */
async function records({ record: { deployments } }: Session, service: string): Promise<DoctorFinding[]> {
  const wrong = await deployments.unverified(service);
  if (wrong.length === 0)
    return [{ id: 'records', state: 'ok', what: 'the newest deployment records verify' }];
  const hint = 'restore the last version of the object, or delete it: it counts for nothing';
  return wrong.map((what) => ({ id: 'records', state: 'wrong', what, hint }));
}

async function pauses({ record, env, clock }: Session, service: string): Promise<DoctorFinding> {
  const pause = await record.pauses.of(service);
  if (pause === undefined) return { id: 'pause', state: 'ok', what: 'not paused' };
  const what = pauseText(env.name, clock.now(), service, pause);
  if (!pause.unverified && !pause.left) return { id: 'pause', state: 'ok', what };
  const scope = pause.scope === 'service' ? ` ${service}` : '';
  return {
    id: 'pause',
    state: 'wrong',
    what,
    hint: `trigger-deploy unpause${scope} --env ${env.name} ends it`,
  };
}

async function desiredOf({ record }: Session, service: string): Promise<Desired | undefined> {
  const stored = await record.desired.read(service).catch((error: unknown) => {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
    return undefined;
  });
  return stored?.value;
}

/**
 * The highest sequence that was certainly given out: by the signed documents, or as more than half of the answering
 * instances have seen it. One instance cannot decide it: its role may be stolen. No instance has seen a number that is
 * beyond reach.
 */
function highestOf(
  desired: number,
  recent: readonly StoredDeployment[],
  fleet: readonly InstanceRecord[],
  now: number, // ms since the epoch
): number {
  const seen = fleet
    .map((one) => one.seen ?? one.sequence)
    .filter((sequence) => !isBeyondReach(sequence + 1, now))
    .sort((a, b) => b - a);
  return Math.max(desired, recent[0]?.value.sequence ?? 0, seen[Math.floor(seen.length / 2)] ?? 0);
}

async function lock(
  { record: { locks }, env }: Session,
  service: string,
  highest: number,
  repair: boolean,
): Promise<DoctorFinding> {
  const wrong = await locks.inspect(service, highest);
  if (wrong === undefined)
    return { id: 'lock', state: 'ok', what: `the lock counts to ${highest} or higher` };
  if (repair && (await locks.repair(service, highest))) {
    return { id: 'lock', state: 'repaired', what: `${wrong}; it now counts to ${highest}` };
  }
  return {
    id: 'lock',
    state: 'wrong',
    what: wrong,
    hint: `trigger-deploy doctor ${service} --repair --env ${env.name} sets it right`,
  };
}

const isOpen = (newest: StoredDeployment | undefined) => newest?.value.status === 'announced';

/** A deployment that nobody drives any more: its outcome is not decided, and its desired state not set. */
async function unsettled(
  { record: { locks }, env }: Session,
  service: string,
  [newest]: readonly StoredDeployment[],
): Promise<DoctorFinding[]> {
  if (newest === undefined || !isOpen(newest)) return [];
  const { deployment, version, rolling } = newest.value;
  const { state, owner } = await locks.look(service);
  const what = `${deployment} of ${version} has not ended`;
  if (state === 'held') return [{ id: 'unsettled', state: 'ok', what: `${what}; ${owner?.who} drives it` }];
  const resume = `trigger-deploy resume ${deployment} --env ${env.name} continues it; or: `;
  return [
    {
      id: 'unsettled',
      state: 'wrong',
      what: `${what}, and its publisher has stopped`,
      hint: `${rolling ? resume : ''}trigger-deploy watch ${deployment} --env ${env.name} follows and settles it`,
    },
  ];
}

function unverified(error: unknown, hint: string): DoctorFinding {
  if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
  return { id: 'desired-state', state: 'wrong', what: messageOf(error), hint };
}
