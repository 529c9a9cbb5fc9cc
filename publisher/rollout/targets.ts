import { TriggerDeployError } from '../../shared/errors.ts';
import type { InstanceRecord } from '../../shared/report.ts';
import { rollCall } from '../messaging/reply-queue.ts';
import type { Session } from '../session.ts';

/** Who a deployment is for: those that are known, and those that answer, as far as they were asked for. */

/** A roll call ends when all known have answered, or then, ms. */
const ROLL_CALL_MS = 2000;

export interface Selection {
  /** Only these instances. */
  only?: readonly string[] | undefined;
  /** Only instances with all of these tags. */
  where?: Readonly<Record<string, string>> | undefined;
}

export const isSelective = ({ only, where }: Selection) => only !== undefined || where !== undefined;

/**
 * The instances of the service, by id.
 * @throws INSTANCE_NOT_FOUND when one of `only` is neither known nor answers, or no instance has the tags.
 */
export async function membersOf(
  session: Session,
  service: string,
  selection: Selection,
): Promise<InstanceRecord[]> {
  const known = await session.record.deployments.instances(service);
  const answers = await rollCall(session, {
    service,
    known: known.map((one) => one.instance),
    waitMs: ROLL_CALL_MS,
  });
  const there = answers.flatMap((answer) => answer.services.filter((one) => one.service === service));
  // What an instance says now counts more than what it has on record.
  const all = new Map([...known, ...there].map((one) => [one.instance, one]));
  return selected([...all.values()], service, selection);
}

/** What all of them run; null where that is nothing, or not the same. */
export function commonVersion(members: readonly Pick<InstanceRecord, 'version'>[]): string | null {
  const [version, ...others] = new Set(members.map((one) => one.version));
  return others.length === 0 ? (version ?? null) : null;
}

/** Pure: those of `all` that were asked for. */
function selected(
  all: readonly InstanceRecord[],
  service: string,
  { only, where }: Selection,
): InstanceRecord[] {
  const missing = (only ?? []).filter((id) => all.every((one) => one.instance !== id));
  if (missing.length > 0) {
    throw new TriggerDeployError(
      'INSTANCE_NOT_FOUND',
      `no instance ${missing.join(', ')} runs ${service} here, and none answers to that name`,
      { hint: `trigger-deploy status ${service} shows who is there` },
    );
  }
  const wanted = Object.entries(where ?? {});
  const found = all
    .filter((one) => only === undefined || only.includes(one.instance))
    .filter((one) => wanted.every(([key, value]) => one.tags?.[key] === value))
    .sort((a, b) => (a.instance < b.instance ? -1 : 1));
  if (wanted.length > 0 && found.length === 0) {
    const tags = wanted.map(([key, value]) => `${key}=${value}`).join(', ');
    throw new TriggerDeployError('INSTANCE_NOT_FOUND', `no instance of ${service} has the tags ${tags}`, {
      hint: 'tags come from `tags:` in agent.yaml, and from the instance tags in its metadata where they are allowed',
    });
  }
  return found;
}
