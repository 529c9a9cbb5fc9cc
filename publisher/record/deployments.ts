import { isCode } from '../../shared/errors.ts';
import { keys, serviceName, ulid, ulidTime } from '../../shared/names.ts';
import type { InstanceRecord, Report } from '../../shared/report.ts';
import { type DeploymentRecord, unsignedDeployment } from './deployment-schema.ts';
import {
  type InstanceObjectsContext,
  type LastWrites,
  type ListedInstances,
  openInstanceObjects,
  type ReportReader,
  type WrittenObject,
} from './instance-objects.ts';
import { localDeployment, type PastDeployment } from './local-deployment.ts';
import { mapLimit } from './map-limit.ts';
import { newestIds } from './newest-ids.ts';
import {
  notFound,
  openSignedDeployments,
  type SignedDeployments,
  type SigningContext,
  type StoredDeployment,
} from './signed-deployments.ts';

export interface Deployments extends Pick<SignedDeployments, 'create' | 'update'> {
  /** `readAgain` of the signed record. */
  read: SignedDeployments['readAgain'];
  /** A deployment of the past: signed, of an older publisher (`unsigned`), or local. @throws DEPLOYMENT_NOT_FOUND. */
  past(service: string, id: string): Promise<PastDeployment>;
  /** The newest first, `limit` at most. One that cannot be verified counts for nothing, and is named in a warning. */
  list(service: string, limit: number): Promise<DeploymentRecord[]>;
  /**
   * Like `list`, and includes local deployments and unsigned ones. With `since` (ms since the epoch) without older deployments; with
   * `wanted` only those for which it returns true. A `since` that is a function is called after the first answer of AWS,
   * so it can use AWS's time.
   */
  history(
    service: string,
    limit: number,
    which?: { since?: number | (() => number) | undefined; wanted?: (one: PastDeployment) => boolean },
  ): Promise<PastDeployment[]>;
  /** The ids of deployments in pieces, the newest first; with `before`, an id, only those that are older. */
  ids(service: string, before?: string): AsyncGenerator<string[]>;
  /** As `past`; undefined if there is none. One that cannot be verified counts for nothing, and is named in a warning. */
  pastOrNone(service: string, id: string): Promise<PastDeployment | undefined>;
  /** The first ids from `after` on, the oldest first: a thousand at most. */
  someIds(service: string, after: string): Promise<string[]>;
  /** The newest deployments, the highest sequence first: 32 at most. */
  recent(service: string): Promise<StoredDeployment[]>;
  /** Why each of the newest records cannot be verified, and which ids no publisher made. */
  unverified(service: string): Promise<string[]>;
  /**
   * The ids after `id`, or all when it is left out, without those of the future: the newest first, 32 at most. Not each
   * has a signed record.
   */
  idsAfter(service: string, id?: string): Promise<string[]>;
  /** The one with the highest sequence; undefined when there is none. */
  newest(service: string): Promise<StoredDeployment | undefined>;
  /** The service of a deployment. @throws DEPLOYMENT_NOT_FOUND. */
  find(id: string): Promise<string>;
  /** All reports of the deployment in the record: the latest of each instance. */
  reports(service: string, id: string): Promise<Report[]>;
  reportReader(service: string, id: string): ReportReader;
  /** The latest record of each instance that has the service, without those that left. */
  instances(service: string): Promise<InstanceRecord[]>;
  /** The same in two steps: lists the instances, whose records are then read. */
  listInstances(service: string): Promise<ListedInstances>;
  /** The objects right below `prefix` that instances wrote: `keys.heartbeats` or `keys.instances`. */
  written(prefix: string): Promise<WrittenObject[]>;
  /** When the instances last wrote their heartbeats, and their records of the service. */
  lastWrites(service: string): Promise<LastWrites>;
  /** The services that have any object in the record of this environment. */
  services(): Promise<string[]>;
}

/** How many objects are read at a time. */
const READS = 32;
/** An id is at most so far ahead of this publisher's clock, ms: whoever writes others hides the records behind them. */
const AHEAD_MS = 3_600_000;
/** How many of the newest ids are looked at for the newest records: not each one has a signed record. */
const LOOKS = 256;

export interface DeploymentsContext extends SigningContext, InstanceObjectsContext {
  now: () => number; // ms since the epoch
}

export function openDeployments(context: DeploymentsContext): Deployments {
  const { env, objects, signer, verifier, warn, sessions, now } = context;
  const signed = openSignedDeployments({ env, objects, signer, verifier });
  const { reportReader, listInstances, instances, written, lastWrites, readValid } = openInstanceObjects({
    env,
    objects,
    sessions,
    warn,
  });

  const warned = new Set<string>();
  function warnOnce(text: string): void {
    if (!warned.has(text)) warn(text);
    warned.add(text);
  }

  /** The record of a publisher before signed records. */
  async function readUnsigned(service: string, id: string): Promise<PastDeployment | undefined> {
    const key = keys.unsignedDeployment(env, service, id);
    const found = await readValid(key, unsignedDeployment);
    if (found?.env !== env || found.service !== service || found.deployment !== id) return undefined;
    return { ...found, unsigned: true };
  }

  /** Undefined if there is none, or if it is signed and cannot be verified. */
  async function readPast(service: string, id: string): Promise<PastDeployment | undefined> {
    const found = await readable(service, id);
    if (found === 'unverified') return undefined;
    if (found !== undefined) return found.value;
    return (await readUnsigned(service, id)) ?? localDeployment(await reportReader(service, id)());
  }

  /** Undefined if there is no record; `unverified`, with a warning, if it counts for nothing. */
  async function readable(service: string, id: string): Promise<StoredDeployment | 'unverified' | undefined> {
    try {
      return await signed.read(service, id);
    } catch (error) {
      if (isCode(error, 'DEPLOYMENT_NOT_FOUND')) return undefined;
      if (!isCode(error, 'DOCUMENT_INVALID', 'SIGNATURE_INVALID')) throw error;
      warn(`${error.message}; it counts for nothing`);
      return 'unverified';
    }
  }

  const look = (service: string) => async (id: string) => {
    const found = await readable(service, id);
    return found === 'unverified' ? undefined : found;
  };

  /** Ids in pieces, the newest first. Those of the future come before: `future` gets them. */
  async function* ids(
    service: string,
    future: (ids: readonly string[]) => void = (those) => {
      if (those.length > 0) warnOnce(futureText(service, those));
    },
    before?: string,
  ): AsyncGenerator<string[]> {
    let isFirst = true;
    for await (const some of newestIds(objects, env, service, now, before)) {
      const isPast = (id: string) => ulidTime(id) <= now() + AHEAD_MS;
      // All of the future are in the first piece: it has everything from some time in the past on.
      const past = isFirst ? some.filter(isPast) : some;
      if (isFirst) future(some.slice(0, some.length - past.length));
      isFirst = false;
      for (let at = 0; at < past.length; at += READS) yield past.slice(at, at + READS);
    }
  }

  const futureText = (service: string, [newest = '', ...others]: readonly string[]) =>
    `${keys.deployments(env, service)}${newest} ${others.length > 0 ? `and ${others.length} more are` : 'is'} of the future: no publisher made such an id; it counts for nothing`;

  /**
   * Calls `work` for the ids in order, `READS` at a time, until `enough` says so or there is none left. Returns the
   * results in the order of the ids.
   */
  async function firstOf<T>(
    pieces: AsyncIterable<string[]>,
    work: (id: string) => Promise<T | undefined>,
    enough: (count: { found: number; looked: number }) => boolean,
  ): Promise<T[]> {
    const found: T[] = [];
    let looked = 0;
    for await (const some of pieces) {
      found.push(...(await mapLimit(some, READS, work)).filter((one) => one !== undefined));
      looked += some.length;
      if (enough({ found: found.length, looked })) break;
    }
    return found;
  }

  /** The newest `limit` deployments that have a signed record. Local deployments have none. */
  async function records(service: string, limit: number): Promise<StoredDeployment[]> {
    const found = await firstOf(ids(service), look(service), (count) => count.found >= limit);
    return found.slice(0, limit);
  }

  /** The order of the ids depends on the clocks of the publishers, which may differ. Sequences only increase. */
  async function recent(service: string): Promise<StoredDeployment[]> {
    // An instance can write reports about any number of deployments that never were: the newest record is behind them.
    const enough = ({ found, looked }: { found: number; looked: number }) =>
      found >= READS || (looked >= LOOKS && found > 0);
    const found = await firstOf(ids(service), look(service), enough);
    return found.sort((a, b) => b.value.sequence - a.value.sequence).slice(0, READS);
  }

  const services = async () =>
    (await objects.folders(keys.services(env))).filter((name) => serviceName.safeParse(name).success);

  return {
    create: signed.create,
    update: signed.update,
    read: signed.readAgain,
    async past(service, id) {
      const found = await readPast(service, id);
      if (found === undefined) throw notFound(env, id);
      return found;
    },
    list: async (service, limit) => (await records(service, limit)).map((one) => one.value),
    async history(service, limit, { since = 0, wanted = () => true } = {}) {
      const work = async (id: string) => {
        const past = await readPast(service, id);
        return past && wanted(past) ? past : undefined;
      };
      const found = await firstOf(sinceThen(ids(service), since), work, (count) => count.found >= limit);
      return found.slice(0, limit);
    },
    ids: (service, before) => ids(service, undefined, before),
    pastOrNone: readPast,
    async someIds(service, after) {
      const { names } = await objects.someFolders(keys.deployments(env, service), after);
      return names.filter((id) => ulid.safeParse(id).success);
    },
    recent,
    async unverified(service) {
      let future: readonly string[] = [];
      const first = await ids(service, (those) => {
        future = those;
      }).next();
      const newest: readonly string[] = first.value ?? [];
      const found = await mapLimit(newest, READS, async (id) =>
        signed.read(service, id).then(
          () => undefined,
          (error: unknown) => {
            if (!isCode(error, 'DOCUMENT_INVALID', 'SIGNATURE_INVALID', 'DEPLOYMENT_NOT_FOUND')) throw error;
            return error.code === 'DEPLOYMENT_NOT_FOUND' ? undefined : error.message;
          },
        ),
      );
      const ahead = future.length > 0 ? [futureText(service, future)] : [];
      return [...ahead, ...found.filter((why) => why !== undefined)];
    },
    async idsAfter(service, id) {
      if (id === undefined) return (await ids(service, () => undefined).next()).value ?? [];
      // "0" follows "/": after each key of the folder.
      const names = await objects.folders(keys.deployments(env, service), { after: `${id}0` });
      const past = names.filter((name) => ulid.safeParse(name).success && ulidTime(name) <= now() + AHEAD_MS);
      return past.toReversed().slice(0, READS);
    },
    newest: async (service) => (await recent(service))[0],
    async find(id) {
      const names = await services();
      const where = async (has: (name: string) => Promise<boolean>) =>
        names[(await mapLimit(names, READS, has)).indexOf(true)];
      // An instance can write a report about any id below any service: a record counts before a report.
      const service =
        (await where((name) => objects.exists(keys.deployment(env, name, id)))) ??
        (await where((name) => objects.exists(keys.unsignedDeployment(env, name, id)))) ??
        (await where(async (name) => (await reportReader(name, id)()).length > 0));
      if (service === undefined) throw notFound(env, id);
      return service;
    },
    reports: (service, id) => reportReader(service, id)(),
    reportReader,
    instances,
    listInstances,
    written,
    lastWrites,
    services,
  };
}

/** The ids from `since` on: ms since the epoch, or a function that is called when the first ids are there. */
async function* sinceThen(
  newestFirst: AsyncIterable<string[]>,
  since: number | (() => number),
): AsyncGenerator<string[]> {
  for await (const some of newestFirst) {
    const from = typeof since === 'function' ? since() : since;
    const recent = some.filter((id) => ulidTime(id) >= from);
    yield recent;
    if (recent.length < some.length) return;
  }
}
