import type { Desired } from '../../shared/desired.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { note } from '../events.ts';
import { rollCall } from '../messaging/roll-call.ts';
import type { DeploymentRecord } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';

/**
 * Notices a desired state that was put back to an older one, or deleted. It is signed, so it verifies. The signed records
 * of later deployments, and the answers of the instances, show that it is old.
 */

/** How long instances have to say what they run, ms. The wait ends once all known instances have answered. */
const ANSWER_MS = 1000;

/** The newest of `records` that set a desired state which is newer than `desired`; undefined if there is none. Pure. */
export function lostDesired(
  desired: Desired | undefined,
  records: readonly DeploymentRecord[],
): DeploymentRecord | undefined {
  return records
    .filter(({ setDesired, sequence }) => setDesired && sequence > (desired?.sequence ?? 0))
    .sort((a, b) => b.sequence - a.sequence)[0];
}

/** Warns that the desired state was put back, for a command that sets it anew. */
export function warnIfLost(
  session: Session,
  desired: Desired | undefined,
  lost: DeploymentRecord | undefined,
): void {
  if (lost !== undefined) note(session, lostText(desired, lost), 'warning');
}

/**
 * For a command that takes the desired state for what stands: refuses one that was put back. With `ask`, the instances
 * are asked what they run; else their records say it.
 * @throws RECORD_DAMAGED; AWS_*, TOPIC_NOT_FOUND.
 */
export async function refuseIfLost(
  session: Session,
  desired: Desired | undefined,
  records: readonly DeploymentRecord[],
  { service, ask }: { service: string; ask: boolean },
): Promise<void> {
  const lost = lostDesired(desired, records);
  const env = session.env.name;
  if (lost !== undefined) {
    throw new TriggerDeployError('RECORD_DAMAGED', lostText(desired, lost), {
      hint: `trigger-deploy ${service} ${lost.version} --env ${env} sets the desired state again`,
    });
  }
  const known = await session.record.deployments.instances(service);
  const newer = newerFleet(desired, records, ask ? await askedNow(session, service, known) : known);
  if (newer === undefined) return;
  throw new TriggerDeployError(
    'RECORD_DAMAGED',
    `most instances of ${service} run ${newer.version} (sequence ${newer.sequence}), which is newer than ${saidBy(desired)}, and no record says why: another writer changed the bucket`,
    {
      hint: `find out who wrote to the bucket, then deploy the wanted version: trigger-deploy ${service} VERSION --env ${env}`,
    },
  );
}

/**
 * For a command that finds a rollback due in a record that it has only read: the rollback gets a new sequence, so every
 * instance would follow it. Refuses it where most instances run something newer than the record.
 * @throws RECORD_DAMAGED; AWS_*, TOPIC_NOT_FOUND.
 */
export async function refuseIfFleetIsNewer(
  session: Session,
  { service, deployment, sequence }: DeploymentRecord,
): Promise<void> {
  const known = await session.record.deployments.instances(service);
  const run = await askedNow(session, service, known);
  const newer = run.filter((one) => one.sequence > sequence);
  if (newer.length * 2 <= run.length) return;
  throw new TriggerDeployError(
    'RECORD_DAMAGED',
    `most instances of ${service} run ${newer[0]?.version} (sequence ${newer[0]?.sequence}), which is newer than ${deployment}: another writer put an old record back`,
    {
      hint: `find out who wrote to the bucket, then deploy the wanted version: trigger-deploy ${service} VERSION --env ${session.env.name}`,
    },
  );
}

async function askedNow(
  session: Session,
  service: string,
  instances: readonly InstanceRecord[],
): Promise<InstanceRecord[]> {
  if (instances.length === 0) return [];
  const known = instances.map(({ instance }) => instance);
  const answers = await rollCall(session, { service, known, waitMs: ANSWER_MS });
  return answers.flatMap(({ services }) => services.filter((one) => one.service === service));
}

/**
 * What most of the instances run, if it is newer than the desired state and no record is of this sequence. One instance
 * cannot decide it: its role may be stolen. What is older than all of `records` is not judged. Pure.
 */
function newerFleet(
  desired: Desired | undefined,
  records: readonly DeploymentRecord[],
  run: readonly Pick<InstanceRecord, 'version' | 'sequence'>[],
): Pick<InstanceRecord, 'version' | 'sequence'> | undefined {
  const explained = new Set(records.map(({ sequence }) => sequence));
  const least = Math.max(desired?.sequence ?? 0, records.length === 0 ? 0 : Math.min(...explained));
  const newer = run.filter(({ sequence }) => sequence > least && !explained.has(sequence));
  return newer.length * 2 > run.length ? newer[0] : undefined;
}

const saidBy = (desired: Desired | undefined) =>
  desired === undefined
    ? 'the record, which has no desired state'
    : `the desired state ${desired.version} (sequence ${desired.sequence})`;

/** What another writer did to the desired state, one line. Pure. */
export function lostText(desired: Desired | undefined, lost: DeploymentRecord): string {
  const now = desired === undefined ? 'is missing' : `is ${desired.version} (sequence ${desired.sequence})`;
  return `the desired state of ${lost.service} ${now}, but ${lost.deployment} set it to ${lost.version} (sequence ${lost.sequence}): another writer deleted it, or put an older one back`;
}
