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
 * are asked what they run; else their records say it. `keeps`: the command must change no version, so it is refused, too,
 * when most instances run a newer one that was not ordered for some instances only.
 * @throws RECORD_DAMAGED; AWS_*, TOPIC_NOT_FOUND.
 */
export async function refuseIfLost(
  session: Session,
  desired: Desired | undefined,
  records: readonly DeploymentRecord[],
  { service, ask, keeps = false }: { service: string; ask: boolean; keeps?: boolean },
): Promise<void> {
  const lost = lostDesired(desired, records);
  const env = session.env.name;
  if (lost !== undefined) {
    throw lostError(env, desired, lost);
  }
  const known = await session.record.deployments.instances(service);
  const run = ask ? await askedNow(session, service, known) : known;
  const least = Math.max(desired?.sequence ?? 0, oldestOf(records) - 1);
  const what = ({ version, sequence }: Run) =>
    `most instances of ${service} run ${version} (sequence ${sequence}), which is newer than ${saidBy(desired)}`;
  const hint = `deploy the wanted version: trigger-deploy ${service} VERSION --env ${env}`;
  const strange = newerFleet(run, least, (one) => records.some((record) => explains(record, one)));
  if (strange !== undefined) {
    const why = 'no record says why: another writer changed the bucket';
    throw new TriggerDeployError('RECORD_DAMAGED', `${what(strange)}, and ${why}`, {
      hint: `find out who wrote to the bucket, then ${hint}`,
    });
  }
  if (!keeps) return;
  const narrow = records.filter(({ targets, action }) => targets !== undefined || action === 'restart');
  const other = newerFleet(
    run,
    least,
    (one) => one.version === desired?.version || narrow.some(({ sequence }) => sequence === one.sequence),
  );
  if (other === undefined) return;
  throw new TriggerDeployError('RECORD_DAMAGED', `${what(other)}: this command would take them back`, {
    hint,
  });
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
  // Also where no instance has a record: another writer may have deleted the records.
  const known = instances.map(({ instance }) => instance);
  const answers = await rollCall(session, { service, known, waitMs: ANSWER_MS });
  return answers.flatMap(({ services }) => services.filter((one) => one.service === service));
}

type Run = Pick<InstanceRecord, 'version' | 'sequence' | 'deployment'>;

/**
 * What most of the instances run, if it has a higher sequence than `least` and is not `explained`. One instance cannot
 * decide it: its role may be stolen. Pure.
 */
function newerFleet(run: readonly Run[], least: number, explained: (one: Run) => boolean): Run | undefined {
  const newer = run.filter((one) => one.sequence > least && !explained(one));
  return newer.length * 2 > run.length ? newer[0] : undefined;
}

/** What is older than all of the records is not judged: only so many are read. */
const oldestOf = (records: readonly DeploymentRecord[]) =>
  records.length === 0 ? 0 : Math.min(...records.map(({ sequence }) => sequence));

/** Whether the record may have brought what the instance runs: not if no instance ended on it. */
function explains({ sequence, deployment, status, counts }: DeploymentRecord, run: Run): boolean {
  const isWithout = (status === 'failed' || status === 'cancelled') && !counts?.succeeded && !counts?.broken;
  return sequence === run.sequence && !(isWithout && deployment === run.deployment);
}

const saidBy = (desired: Desired | undefined) =>
  desired === undefined
    ? 'the record, which has no desired state'
    : `the desired state ${desired.version} (sequence ${desired.sequence})`;

export function lostError(
  env: string,
  desired: Desired | undefined,
  lost: DeploymentRecord,
): TriggerDeployError {
  return new TriggerDeployError('RECORD_DAMAGED', lostText(desired, lost), {
    hint: `trigger-deploy ${lost.service} ${lost.version} --env ${env} sets the desired state again`,
  });
}

/** What another writer did to the desired state, one line. Pure. */
export function lostText(desired: Desired | undefined, lost: DeploymentRecord): string {
  const now = desired === undefined ? 'is missing' : `is ${desired.version} (sequence ${desired.sequence})`;
  return `the desired state of ${lost.service} ${now}, but ${lost.deployment} set it to ${lost.version} (sequence ${lost.sequence}): another writer deleted it, or put an older one back`;
}
