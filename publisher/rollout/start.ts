import { TriggerDeployError } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { note } from '../events.ts';
import type { Change } from '../plan/change.ts';
import { dueChecks } from '../plan/checks.ts';
import { type PolicyOptions, policyOf } from '../plan/policy.ts';
import type { Strategy } from '../plan/strategy.ts';
import { rollingFor } from '../plan/waves.ts';
import type { Ticket } from '../queue/ticket.ts';
import type { Checks } from '../record/check-schema.ts';
import type { StoredDeployment } from '../record/signed-deployments.ts';
import { refuseIfDetached, type Session } from '../session.ts';
import { refuseIfAlarmed } from './alarm-watch.ts';
import { refuseUnverified } from './confirmation.ts';
import { begin, createRecord } from './create-record.ts';
import type { Driving, Output } from './driving.ts';
import { commonVersion, isLeaving, isSelective, type Selection, targetsOf } from './targets.ts';
import { refuseIfUntrusted } from './trust-in-key.ts';
import { refuseIfUnverifiable } from './verify-run.ts';

/** Starts a deployment: finds its instances, plans its waves, and creates its record. */

/** The options of a deployment: which instances, in which order, how many may fail, and how it is driven. */
export interface RolloutOptions extends Selection, PolicyOptions, Driving {
  strategy: Strategy;
  /** The automatic checks; none when left out. */
  checks?: Checks | undefined;
}

/**
 * Creates the record of the deployment; nothing is announced yet.
 * @throws NOT_ALLOWED where another person must confirm, and who begins is not verified; ALARMS_NOT_OK; CONFIG_INVALID when `verify` cannot be run here; INSTANCE_NOT_FOUND; CANCELLED when detached or not
 * confirmed before anything was written; KEY_INVALID when instances do not trust the signing key; FENCED; AWS_*.
 */
export async function start(
  session: Session,
  ticket: Ticket,
  change: Change,
  options: RolloutOptions,
): Promise<StoredDeployment> {
  const { strategy, wait, detach, checks } = options;
  refuseUnverified(session);
  const selective = isSelective(options);
  await refuseByChecks(session, change.service, checks);
  // A deployment to all instances at once needs no roll call: their `accepted` reports show who answers.
  const { instances, forgotten } =
    strategy.name === 'rolling' || selective
      ? await targetsOf(session, change.service, options, ticket.reads?.instances)
      : {
          instances: (
            await (ticket.reads?.instances ?? session.record.deployments.instances(change.service))
          ).filter((one) => !isLeaving(one)),
          forgotten: [],
        };
  refuseIfDetached(detach);
  await refuseIfUntrusted(session, change.service, instances, options.allowMissing);
  if (instances.length === 0) await confirmWithoutInstances(session, ticket, change, options);
  // Without instances there are no waves. The deployment still sets the desired state, for the first instance.
  const rolling =
    strategy.name === 'rolling' && instances.length > 0 ? rollingFor(instances, strategy) : undefined;
  const created = await createRecord(
    session,
    ticket,
    selective ? narrowed(session, change, instances) : change,
    {
      policy: policyOf(options, instances.length),
      // A publisher that does not wait cannot write the desired state after the instances have succeeded. A deployment
      // to selected instances never writes it.
      desiredFirst: rolling === undefined && !wait && !selective,
      rolling,
      forgotten,
      // Without an instance there is nothing to check.
      checks: instances.length > 0 ? checks : undefined,
    },
  );
  await begin(session, created);
  return created.stored;
}

/** @throws ALARMS_NOT_OK; CONFIG_INVALID when `verify` cannot be run here; AWS_* when the alarms cannot be read. */
async function refuseByChecks(session: Session, service: string, checks: Checks | undefined): Promise<void> {
  if (checks?.skipped) note(session, `the automatic checks are skipped: ${namesOf(checks)}`, 'warning');
  const due = dueChecks(checks);
  if (due === undefined) return;
  await refuseIfUnverifiable(session, { service, checks: due });
  await refuseIfAlarmed(session, service, due);
}

const namesOf = ({ alarms, verify }: Checks) =>
  [...alarms.map(({ name }) => `the alarm ${name}`), ...(verify ? ['verify'] : [])].join(', ');

/**
 * A deployment without instances has no gate. If the environment requires that a person confirms, the person at the
 * terminal is asked here, before anything is written; a page has asked beforehand.
 * @throws INSTANCE_NOT_FOUND where nobody can be asked, or where another person must confirm; CANCELLED when the answer is no.
 */
async function confirmWithoutInstances(
  session: Session,
  { lock }: Ticket,
  { service, version, action }: Change,
  { confirmEmpty, detach }: Driving,
): Promise<void> {
  const { name, confirm } = session.env;
  if (confirm === undefined || action !== 'deploy') return;
  const none = `no instance of ${service} is known in ${name}`;
  if (confirm === 'other') {
    throw new TriggerDeployError(
      'INSTANCE_NOT_FOUND',
      `${none}, and another person must confirm what the first instance will run`,
      { hint: 'start an instance first: the deployment then waits for that person' },
    );
  }
  if (confirmEmpty === true) return;
  if (confirmEmpty === undefined) {
    throw new TriggerDeployError(
      'INSTANCE_NOT_FOUND',
      `${none}, and a person must confirm what the first instance will run`,
      { hint: 'start an instance first, or deploy from a terminal, where you are asked' },
    );
  }
  note(
    session,
    `${none}; the first instance will run ${version}. y: set the desired state   n: leave it unchanged`,
  );
  const yes = await confirmEmpty(AbortSignal.any([session.signal, detach, lock.lost])).catch(
    (error: unknown) => {
      refuseIfDetached(detach);
      throw error;
    },
  );
  if (!yes) throw new TriggerDeployError('CANCELLED', 'not confirmed; nothing was changed');
}

/**
 * The change for these instances only. After a failure they roll back to the version that they ran, which can differ
 * from the desired version. If they ran different versions, there is no single version to roll back to: no rollback is
 * announced, and only an instance on which the deployment fails rolls back by itself.
 */
function narrowed(output: Output, change: Change, instances: readonly InstanceRecord[]): Change {
  const targets = instances.map((one) => one.instance);
  if (change.action !== 'deploy') return { ...change, targets };
  const versions = new Set(instances.map((one) => one.version ?? 'nothing'));
  if (versions.size > 1) {
    const text = `these instances run different versions (${[...versions].join(', ')}): an instance on which the deployment fails rolls back by itself, the others are not rolled back`;
    note(output, text, 'warning');
  }
  return { ...change, targets, previous: commonVersion(instances) };
}
