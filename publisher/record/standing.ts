import { ulidOf, ulidTime } from '../../shared/names.ts';
import type { DeploymentRecord } from './deployment-schema.ts';
import type { Deployments } from './deployments.ts';
import type { PastDeployment } from './local-deployment.ts';
import { mapLimit } from './map-limit.ts';

/** Which version was desired in each service at a time, and what was under way: from the signed records alone. */

/** A service as it stood at a time. */
export interface Standing {
  service: string;
  /** The version that was desired; null where there was none, or where the record does not say (`unknown`). */
  version: string | null;
  /** The deployment that had set it, and who started that. */
  deployment?: string;
  by?: string;
  /** Since when it was desired, ms since the epoch. */
  since?: number;
  /** The deployment that had begun and not ended. */
  underWay?: { deployment: string; version: string; action: PastDeployment['action']; by: string };
  /** Why the record does not say it. */
  unknown?: string;
}

const SERVICES = 16;
/** How many records are read at a time; nearly always the first one or two decide. */
const READS = 4;
/** How many deployments are looked at, at most, before that time, and after it. */
const LOOKS = 256;

/**
 * Each of `services` as it stood at `time` (ms since the epoch), in their order, without those that had no deployment yet.
 * Each costs two lists (a few more of a long history) and some records. @throws AWS_*.
 */
export async function standingAt(
  deployments: Pick<Deployments, 'ids' | 'someIds' | 'pastOrNone'>,
  services: readonly string[],
  time: number,
): Promise<Standing[]> {
  const all = await mapLimit(services, SERVICES, (service) => standingOf(deployments, service, time));
  return all.filter((one) => one !== undefined);
}

async function standingOf(
  deployments: Pick<Deployments, 'ids' | 'someIds' | 'pastOrNone'>,
  service: string,
  time: number,
): Promise<Standing | undefined> {
  const edge = ulidOf(time + 1);
  const read = (ids: readonly string[]) =>
    mapLimit(ids, READS, (id) => deployments.pastOrNone(service, id)).then((found) =>
      found.filter((one) => one !== undefined).filter(isSigned),
    );
  const [later, before] = await Promise.all([
    deployments.someIds(service, edge).then((ids) => firstOf(ids.slice(0, LOOKS), read, tellsOfBefore)),
    search(deployments.ids(service, edge), read, (one) => (setAt(one) ?? Number.POSITIVE_INFINITY) <= time),
  ]);
  const { found: setter, seen } = before;
  const current = seen.find((one) => wasUnderWay(one, time));
  const underWay = current && {
    underWay: {
      ...{ deployment: current.deployment, version: current.version },
      ...{ action: current.action, by: current.issuedBy },
    },
  };
  if (setter === undefined) {
    if (later === undefined && seen.length === 0) return undefined;
    // The first of all deployments replaced nothing: nothing was desired before it.
    const first = seen.at(-1) ?? later;
    if (first?.previous === null)
      return seen.length === 0 ? undefined : { service, version: null, ...underWay };
    const unknown = `the record does not reach back to that time: gc deletes old deployments${
      later?.action === 'deploy' && later.previous ? `; the next deployment replaced ${later.previous}` : ''
    }`;
    return { service, version: null, ...underWay, unknown };
  }
  const { version, deployment, issuedBy: by } = setter;
  const isChangedSince = seen.some((one) => (setAt(one) ?? 0) > time);
  if (later !== undefined && !isChangedSince && isGap(setter, later)) {
    const unknown = `the record has a gap: ${deployment} set ${version} before, but the next deployment replaced ${later.previous ?? 'no version'}`;
    return { service, version: null, ...underWay, unknown };
  }
  return { service, version, deployment, by, since: setAt(setter) ?? ulidTime(deployment), ...underWay };
}

/** A record that a publisher signed: no local deployment, and none of an older publisher. */
type Signed = PastDeployment & Pick<DeploymentRecord, 'setDesired' | 'desiredFirst'>;
const isSigned = (one: PastDeployment): one is Signed => one.unsigned !== true && one.local === undefined;

/** Whether it followed the desired state, or set it. */
const tellsOfBefore = ({ action, targets, status }: Signed) =>
  targets === undefined && (action === 'rollback' || (action === 'deploy' && status !== 'announced'));

/** Whether something between the two is missing in the record. */
function isGap(setter: Signed, { action, previous }: Signed): boolean {
  // What a rollback replaces is what ran, which was not always desired.
  if (action === 'rollback' || previous === setter.version) return false;
  // One that set the desired state first and then failed is not what the next one returns to.
  return !(setter.desiredFirst && setter.status === 'failed' && previous === setter.previous);
}

/** When the deployment set the desired state, ms since the epoch; undefined when it did not. */
function setAt(one: Signed): number | undefined {
  const { setDesired, desiredFirst, announcedAt, settledAt, targets, action, status } = one;
  // One that sets it before it is announced says that it did only once it is settled.
  const isEarly = desiredFirst && (status === 'announced' || status === 'timed-out');
  if (targets !== undefined || action === 'restart' || !(setDesired || isEarly)) return undefined;
  const at = desiredFirst ? announcedAt : settledAt;
  return at === undefined ? undefined : Date.parse(at);
}

function wasUnderWay({ deployment, status, settledAt }: Signed, time: number): boolean {
  if (ulidTime(deployment) > time) return false;
  return settledAt === undefined ? status === 'announced' : Date.parse(settledAt) > time;
}

/** Reads the ids in order until one is `right`. */
async function firstOf(
  ids: readonly string[],
  read: (ids: readonly string[]) => Promise<Signed[]>,
  right: (one: Signed) => boolean,
): Promise<Signed | undefined> {
  async function* once() {
    yield ids;
  }
  return (await search(once(), read, right)).found;
}

async function search(
  pieces: AsyncIterable<readonly string[]>,
  read: (ids: readonly string[]) => Promise<Signed[]>,
  right: (one: Signed) => boolean,
): Promise<{ found: Signed | undefined; seen: Signed[] }> {
  const seen: Signed[] = [];
  let looked = 0;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length && looked < LOOKS; at += READS) {
      const some = await read(piece.slice(at, at + READS));
      looked += READS;
      seen.push(...some);
      const found = some.find(right);
      if (found !== undefined) return { found, seen };
    }
    if (looked >= LOOKS) break;
  }
  return { found: undefined, seen };
}
