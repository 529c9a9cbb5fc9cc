import { isCode, messageOf } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import type { Started } from '../events.ts';
import { validity } from '../messaging/announce.ts';
import type { Change } from '../plan/change.ts';
import type { Ticket } from '../queue/ticket.ts';
import type { Checks } from '../record/check-schema.ts';
import type { DeploymentRecord, Forgotten, Policy, Rolling } from '../record/deployment-schema.ts';
import type { Deployments } from '../record/deployments.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import { deploymentUrl } from '../render/address.ts';
import type { Session } from '../session.ts';
import { movesDesired } from './record-outcome.ts';
import { isLeaving } from './targets.ts';
import { writeDesired } from './write-desired.ts';

/** Creates the record of a deployment, before anything is announced. */

/** How a deployment is carried out. */
export interface Terms {
  policy: Policy;
  /** Whether the desired state is written before the announcement. */
  desiredFirst: boolean;
  /** The waves; when left out, the deployment goes to all instances at once. */
  rolling?: Rolling | undefined;
  /** The instances that have a record and are not waited for. */
  forgotten?: readonly Forgotten[] | undefined;
  /** The automatic checks. */
  checks?: Checks | undefined;
}

/** A deployment that is recorded but not announced, and the instance records of the instances that it is for. */
export interface Created {
  stored: StoredDeployment;
  instances: readonly InstanceRecord[];
}

/**
 * Creates the record, with the status `announced`. If the publisher dies after this, `watch` settles the deployment
 * (for a rolling one, `resume` continues it), or the next deployment settles it.
 * @throws CONDITION_FAILED, AWS_*.
 */
export async function createRecord(
  session: Session,
  ticket: Ticket,
  change: Change,
  { policy, desiredFirst, rolling, checks, forgotten = [] }: Terms,
): Promise<Created> {
  const { deployments } = session.record;
  const { targets } = change;
  const known = await (ticket.reads?.instances ?? deployments.instances(change.service));
  const instances = targets ? known.filter((one) => targets.includes(one.instance)) : known;
  const inWaves = rolling?.waves.flatMap((wave) => wave.instances);
  const leaving = new Set(known.filter(isLeaving).map((one) => one.instance));
  const { issuedAt, expiresAt } = validity(session.clock, policy.timeoutMs);
  const stored = await deployments.create({
    ...change,
    ...ticket.about,
    deployment: ticket.deployment,
    sequence: ticket.sequence,
    env: session.env.name,
    issuedBy: session.who,
    from: { ...session.origin },
    expected: inWaves ?? (targets ?? instances.map((one) => one.instance)).filter((id) => !leaving.has(id)),
    announcedAt: issuedAt,
    expiresAt,
    strategy: rolling ? 'rolling' : 'all',
    rolling,
    policy,
    desiredFirst,
    ...(checks && { checks }),
    status: 'announced',
    ...(forgotten.length > 0 && { forgotten: [...forgotten] }),
  });
  return { stored, instances };
}

/**
 * Emits `started`. With `desiredFirst` it also writes the desired state.
 * @throws FENCED when a newer deployment wrote the desired state; AWS_*.
 */
export async function begin(
  session: Session,
  { stored, instances }: Created,
  more: {
    resumed?: boolean;
    /** `previous` of the desired state: the version that the next rollback returns to. */
    previous?: string | undefined;
  } = {},
): Promise<void> {
  const record = stored.value;
  emitStarted(session, record, instances, more.resumed ? 'resumed' : undefined);
  if (!record.desiredFirst || !movesDesired(record)) return;
  await recordingFailure(session.record.deployments, stored, () =>
    writeDesired(session, record, more.previous),
  );
}

/** Emits `started` with those records of `instances` whose instances the deployment expects to report. */
export function emitStarted(
  { emit, env: { consoleUrl } }: Pick<Session, 'emit' | 'env'>,
  record: DeploymentRecord,
  instances: readonly InstanceRecord[],
  how?: 'resumed' | 'watched',
): void {
  const { deployment, env, service, version, previous, action, sequence, issuedBy, reason, strategy } =
    record;
  const at = Date.parse(record.announcedAt);
  const url = deploymentUrl(consoleUrl, record);
  const expected = instances.filter((one) => record.expected.includes(one.instance));
  const what = { deployment, env, service, version, previous, action, sequence, issuedBy, reason };
  emit({
    type: 'started',
    at,
    ...what,
    strategy,
    ...checksOf(record),
    how,
    ...(url !== undefined && { url }),
    expected,
  });
  if (record.forgotten?.length) emit({ type: 'forgotten', at, deployment, instances: record.forgotten });
}

function checksOf({ checks }: DeploymentRecord): Pick<Started, 'checks' | 'skippedChecks'> {
  if (checks === undefined) return {};
  const names = { alarms: checks.alarms.length > 0, verify: checks.verify !== undefined };
  const named = (['alarms', 'verify'] as const).filter((name) => names[name]);
  return { checks: named, ...(checks.skipped && { skippedChecks: true }) };
}

/**
 * Runs `work`, which makes the announcement or comes before it. If `work` fails, records that the deployment was not
 * announced, and throws the error again. After AWS_UNREACHABLE or INTERRUPTED the announcement may have been sent: then
 * the status stays `announced`, because only reports can show the outcome. Without `announces`, `work` sends nothing
 * that an agent sees.
 */
export async function recordingFailure<T>(
  deployments: Deployments,
  stored: StoredDeployment,
  work: () => Promise<T>,
  { announces = true, mayBeSent = () => false }: { announces?: boolean; mayBeSent?: () => boolean } = {},
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const certain = !announces || !(mayBeSent() || isCode(error, 'AWS_UNREACHABLE', 'INTERRUPTED'));
    const outcome = `${certain ? 'not announced' : 'possibly not announced'}: ${messageOf(error)}`;
    const change = certain ? ({ status: 'failed', exitCode: 1, outcome } as const) : { outcome };
    await deployments.update(stored, change).catch(() => undefined);
    throw error;
  }
}
