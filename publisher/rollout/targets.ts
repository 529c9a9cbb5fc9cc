import { TriggerDeployError } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { openForgetting } from '../fleet/forgetting.ts';
import { rollCall } from '../messaging/roll-call.ts';
import type { Forgotten } from '../record/deployment-schema.ts';
import type { Session } from '../session.ts';

/** Finds the instances that a deployment is for: those with a record or an answer to a roll call, as selected. */

/** A roll call ends when all known instances have answered, or after this time, ms. */
const ROLL_CALL_MS = 2000;

export interface Selection {
  /** Only these instances. */
  only?: readonly string[] | undefined;
  /** Only instances with all of these tags. With `only`, each of its instances must have them. */
  where?: Readonly<Record<string, string>> | undefined;
}

/** Whether the instance takes no deployment, because it is about to stop or to be terminated. */
export const isLeaving = ({ notice }: Pick<InstanceRecord, 'notice'>) => notice?.terminating === true;

export const isSelective = ({ only, where }: Selection) => only !== undefined || where !== undefined;

/** The instances of a deployment. */
export interface Targets {
  /** Sorted by id. */
  instances: InstanceRecord[];
  /** Those that did not answer, and are not waited for because they are gone. */
  forgotten: readonly Forgotten[];
}

/**
 * The selected instances of the service, sorted by id, without those that are being terminated, or are gone.
 * One that `only` names is never forgotten.
 * @throws INSTANCE_NOT_FOUND when an instance of `only` has no record and does not answer, is being terminated, or lacks a
 * tag, or when no instance has the tags; AWS_*.
 */
export async function targetsOf(
  session: Session,
  service: string,
  selection: Selection,
  reading = session.record.deployments.instances(service),
): Promise<Targets> {
  const known = await reading;
  const answers = await rollCall(session, {
    service,
    known: known.map((one) => one.instance),
    waitMs: ROLL_CALL_MS,
  });
  const there = answers.flatMap((answer) => answer.services.filter((one) => one.service === service));
  // An answer is newer than the record of the instance.
  const all = new Map([...known, ...there].map((one) => [one.instance, one]));
  const found = selected([...all.values()], { env: session.env.name, service }, selection);
  if (selection.only !== undefined) return { instances: found, forgotten: [] };
  const answered = new Set(there.map(({ instance }) => instance));
  const silent = found.map(({ instance }) => instance).filter((instance) => !answered.has(instance));
  const forgotten = await openForgetting(session, service).look({ silent, answered: [...answered] });
  const gone = new Set(forgotten.map(({ instance }) => instance));
  return { instances: found.filter(({ instance }) => !gone.has(instance)), forgotten };
}

/** The version that all `instances` run; null when they run different versions or none. */
export function commonVersion(instances: readonly Pick<InstanceRecord, 'version'>[]): string | null {
  const [version, ...others] = new Set(instances.map((one) => one.version));
  return others.length === 0 ? (version ?? null) : null;
}

/** The instances of `all` that match the selection. Pure. @throws INSTANCE_NOT_FOUND. */
function selected(
  all: readonly InstanceRecord[],
  { env, service }: { env: string; service: string },
  { only, where }: Selection,
): InstanceRecord[] {
  const missing = (only ?? []).filter((id) => all.every((one) => one.instance !== id));
  if (missing.length > 0) {
    throw new TriggerDeployError(
      'INSTANCE_NOT_FOUND',
      `unknown instance of ${service}: ${missing.join(', ')}`,
      { hint: `trigger-deploy status ${service} --env ${env} lists the instances` },
    );
  }
  const leaving = all.filter((one) => only?.includes(one.instance) && isLeaving(one));
  if (leaving.length > 0) {
    const them = leaving.map((one) => `${one.instance} (${one.notice?.kind})`).join(', ');
    throw new TriggerDeployError('INSTANCE_NOT_FOUND', `being terminated: ${them}`, {
      hint: 'leave it out of --only: it takes no deployment any more',
    });
  }
  const wanted = Object.entries(where ?? {});
  const hasTags = ({ tags }: InstanceRecord) => wanted.every(([key, value]) => tags?.[key] === value);
  const named = all
    .filter((one) => !isLeaving(one) && (only === undefined || only.includes(one.instance)))
    .sort((a, b) => (a.instance < b.instance ? -1 : 1));
  const found = named.filter(hasTags);
  const tags = wanted.map(([key, value]) => `${key}=${value}`).join(', ');
  const untagged = only === undefined ? [] : named.filter((one) => !hasTags(one));
  if (untagged.length > 0) {
    const them = untagged.map((one) => one.instance).join(', ');
    throw new TriggerDeployError('INSTANCE_NOT_FOUND', `--only names ${them}, without the tags ${tags}`, {
      hint: 'leave out --where to deploy to the named instances, or --only to deploy to all with the tags',
    });
  }
  if (wanted.length > 0 && found.length === 0) {
    throw new TriggerDeployError('INSTANCE_NOT_FOUND', `no instance of ${service} has the tags ${tags}`, {
      hint: 'tags come from `tags:` in agent.yaml, and from the EC2 instance tags if tags in instance metadata are enabled',
    });
  }
  return found;
}
