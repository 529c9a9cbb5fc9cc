import { GetBucketVersioningCommand } from '@aws-sdk/client-s3';
import { awsError } from '../../shared/aws-errors.ts';
import { callerUserId } from '../../shared/caller-identity.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { isBeyondReach } from '../../shared/sequence.ts';
import { rollCall } from '../messaging/roll-call.ts';
import { pauseText } from '../record/pauses.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import { lostDesired, lostText } from '../rollout/lost-desired.ts';
import type { Session } from '../session.ts';
import { checkServiceExists } from './guards.ts';

/** How many instances that do not answer are named. */
const NAMED = 20;
/** How long instances have to say what they run, ms. The wait ends once all known instances have answered. */
const ANSWER_MS = 2000;

/** What `doctor` found out about one thing. */
export interface DoctorFinding {
  /** `repaired`: it was wrong, and this command set it right. `unknown`: it cannot be read with these permissions. */
  state: 'ok' | 'wrong' | 'repaired' | 'unknown';
  what: string;
  /** What to do about it. */
  hint?: string | undefined;
}

export interface DoctorAnswer {
  type: 'doctor';
  env: string;
  service: string;
  findings: DoctorFinding[];
}

export interface DoctorOptions {
  service: string;
  /** Whether to set a lock right that another writer changed. */
  repair?: boolean | undefined;
}

/**
 * `trigger-deploy doctor SERVICE`: compares what the bucket holds about a service with the signatures, with itself and
 * with what the instances say. With `repair` it sets a lock right that is unreadable, counts too high or too low.
 * Nothing else is changed: what another writer deleted or put back, a person decides.
 * @throws SERVICE_NOT_FOUND, CONFIG_INVALID without a key to verify with, AWS_*.
 */
export async function doctor(
  session: Session,
  { service, repair = false }: DoctorOptions,
): Promise<DoctorAnswer> {
  await session.verifier();
  const { deployments } = session.record;
  if (!(await deployments.services()).includes(service)) await checkServiceExists(session, service);
  const [recent, known] = await Promise.all([deployments.recent(service), deployments.instances(service)]);
  const fleet = await answersOf(session, service, known);
  // One of many decides nothing: the answers of the others may drown in its replies.
  const voices = fleet.length < 2 && known.length > 1 ? [] : fleet;
  const desired = await desiredSequence(session, service);
  const highest = highestOf(desired, recent, voices, session.clock.now());
  const findings = [
    await identity(session),
    await versioning(session),
    await desiredState(session, service, recent),
    ...(await records(session, service)),
    await pauses(session, service),
    await lock(session, service, highest, repair),
    ...instances(known, fleet),
  ];
  return { type: 'doctor', env: session.env.name, service, findings };
}

/** The answers of the instances; empty when they cannot be asked. */
async function answersOf(
  session: Session,
  service: string,
  known: readonly InstanceRecord[],
): Promise<InstanceRecord[]> {
  const names = known.map(({ instance }) => instance);
  const answers = await rollCall(session, { service, known: names, waitMs: ANSWER_MS }).catch(
    (error: unknown) => {
      if (isCode(error, 'AWS_DENIED', 'CONFIG_INVALID', 'KEY_INVALID')) return [];
      throw error;
    },
  );
  return answers.flatMap(({ services }) => services.filter((one) => one.service === service));
}

/** Who AWS says that this publisher is: to compare with the policies. */
async function identity({ aws, signal }: Session): Promise<DoctorFinding> {
  try {
    return { state: 'ok', what: `AWS knows this publisher as ${await callerUserId(aws, signal)}` };
  } catch (error) {
    signal.throwIfAborted();
    return {
      state: 'unknown',
      what: messageOf(error),
      hint: 'see whether the endpoint of STS can be reached',
    };
  }
}

/** Without old versions of its objects, what another writer deleted or replaced is lost. */
async function versioning({ aws, env }: Session): Promise<DoctorFinding> {
  try {
    const { Status } = await aws.s3.send(new GetBucketVersioningCommand({ Bucket: env.bucket }));
    if (Status === 'Enabled')
      return { state: 'ok', what: `${env.bucket} keeps the old versions of its objects` };
    return {
      state: 'wrong',
      what: `${env.bucket} does not keep the old versions of its objects: what is deleted or replaced is lost`,
      hint: `aws s3api put-bucket-versioning --bucket ${env.bucket} --versioning-configuration Status=Enabled`,
    };
  } catch (error) {
    const { message } = awsError(error, `read whether ${env.bucket} keeps old versions`);
    return { state: 'unknown', what: message, hint: 'it needs s3:GetBucketVersioning' };
  }
}

async function desiredState(
  { record, env }: Session,
  service: string,
  recent: readonly StoredDeployment[],
): Promise<DoctorFinding> {
  const deployAnew = `trigger-deploy ${service} VERSION --env ${env.name} sets it anew`;
  try {
    const desired = (await record.desired.read(service))?.value;
    const lost = lostDesired(
      desired,
      recent.map(({ value }) => value),
    );
    if (lost !== undefined) return { state: 'wrong', what: lostText(desired, lost), hint: deployAnew };
    if (desired === undefined) return { state: 'ok', what: 'there is no desired state yet' };
    const { version, sequence, changedBy, changedAt } = desired;
    return {
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
  if (wrong.length === 0) return [{ state: 'ok', what: 'the newest deployment records verify' }];
  const hint = 'restore the last version of the object, or delete it: it counts for nothing';
  return wrong.map((what) => ({ state: 'wrong', what, hint }));
}

async function pauses({ record, env, clock }: Session, service: string): Promise<DoctorFinding> {
  const pause = await record.pauses.of(service);
  if (pause === undefined) return { state: 'ok', what: 'not paused' };
  const what = pauseText(env.name, clock.now(), service, pause);
  if (!pause.unverified && !pause.left) return { state: 'ok', what };
  const scope = pause.scope === 'service' ? ` ${service}` : '';
  return { state: 'wrong', what, hint: `trigger-deploy unpause${scope} --env ${env.name} ends it` };
}

async function desiredSequence({ record }: Session, service: string): Promise<number> {
  const stored = await record.desired.read(service).catch((error: unknown) => {
    if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
    return undefined;
  });
  return stored?.value.sequence ?? 0;
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
  if (wrong === undefined) return { state: 'ok', what: `the lock counts to ${highest} or higher` };
  if (repair && (await locks.repair(service, highest))) {
    return { state: 'repaired', what: `${wrong}; it now counts to ${highest}` };
  }
  return {
    state: 'wrong',
    what: wrong,
    hint: `trigger-deploy doctor ${service} --repair --env ${env.name} sets it right`,
  };
}

/** The instances that do not answer. */
function instances(known: readonly InstanceRecord[], fleet: readonly InstanceRecord[]): DoctorFinding[] {
  const silent = known.filter(({ instance }) => fleet.every((one) => one.instance !== instance));
  if (silent.length === 0)
    return [{ state: 'ok', what: `${fleet.length} of ${known.length} instances answer` }];
  const more = silent.length - NAMED;
  const others: DoctorFinding = {
    state: 'wrong',
    what: `${more} more instances do not answer`,
    hint: 'trigger-deploy status SERVICE names them',
  };
  const named = silent.slice(0, more > 1 ? NAMED : silent.length).map(({ instance, at }) => ({
    state: 'wrong' as const,
    what: `${instance} does not answer; its last record is of ${at}`,
    hint: 'see whether it runs, and its agent: systemctl status trigger-deploy-agent',
  }));
  return more > 1 ? [...named, others] : named;
}

function unverified(error: unknown, hint: string): DoctorFinding {
  if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) throw error;
  return { state: 'wrong', what: messageOf(error), hint };
}
