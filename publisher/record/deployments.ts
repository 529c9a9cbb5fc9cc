import { isCode } from '../../shared/errors.ts';
import { keys, serviceName, ulid, ulidTime } from '../../shared/names.ts';
import type { InstanceRecord, Report } from '../../shared/report.ts';
import { type DeploymentRecord, unsignedDeployment } from './deployment-schema.ts';
import { type InstanceObjectsContext, openInstanceObjects, type ReportReader } from './instance-objects.ts';
import { localDeployment, type PastDeployment } from './local-deployment.ts';
import { mapLimit } from './map-limit.ts';

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
  /** The newest deployments, the highest sequence first: 32 at most. */
  recent(service: string): Promise<StoredDeployment[]>;
  /** Why each of the newest records cannot be verified, and which ids no publisher made. */
  unverified(service: string): Promise<string[]>;
  /** The one with the highest sequence; undefined when there is none. */
  newest(service: string): Promise<StoredDeployment | undefined>;
  /** The service of a deployment. @throws DEPLOYMENT_NOT_FOUND. */
  find(id: string): Promise<string>;
  /** All reports of the deployment in the record: the latest of each instance. */
  reports(service: string, id: string): Promise<Report[]>;
  reportReader(service: string, id: string): ReportReader;
  /** The latest record of each instance that has the service, without those that left. */
  instances(service: string): Promise<InstanceRecord[]>;
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
  const { reportReader, instances, readValid } = openInstanceObjects({ env, objects, sessions, warn });

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
    if (await objects.exists(keys.deployment(env, service, id))) {
      return (await readable(service, id))?.value;
    }
    return (await readUnsigned(service, id)) ?? localDeployment(await reportReader(service, id)());
  }

  /** Undefined if the record is missing or invalid, so that a list can skip it. */
  async function readable(service: string, id: string): Promise<StoredDeployment | undefined> {
    try {
      return await signed.read(service, id);
    } catch (error) {
      if (!isCode(error, 'DOCUMENT_INVALID', 'SIGNATURE_INVALID', 'DEPLOYMENT_NOT_FOUND')) throw error;
      if (error.code !== 'DEPLOYMENT_NOT_FOUND') warn(`${error.message}; it counts for nothing`);
      return undefined;
    }
  }

  /** The newest first, without those of the future. */
  async function ids(service: string): Promise<string[]> {
    const [past, future] = await split(service);
    if (future.length > 0) warnOnce(futureText(service, future));
    return past;
  }

  async function split(service: string): Promise<[past: string[], future: string[]]> {
    const folders = await objects.folders(keys.deployments(env, service));
    const all = folders.filter((name) => ulid.safeParse(name).success).reverse();
    const first = all.findIndex((id) => ulidTime(id) <= now() + AHEAD_MS);
    return first === -1 ? [[], all] : [all.slice(first), all.slice(0, first)];
  }

  const futureText = (service: string, [newest = '', ...others]: readonly string[]) =>
    `${keys.deployments(env, service)}${newest} ${others.length > 0 ? `and ${others.length} more are` : 'is'} of the future: no publisher made such an id; it counts for nothing`;

  /**
   * Calls `look` for the ids in order, `READS` at a time, until `limit` of them have a result. Returns these results in
   * the order of the ids.
   */
  async function firstOf<T>(
    newestFirst: readonly string[],
    limit: number,
    look: (id: string) => Promise<T | undefined>,
  ): Promise<T[]> {
    const found: T[] = [];
    for (let at = 0; at < newestFirst.length && found.length < limit; at += READS) {
      const some = newestFirst.slice(at, at + READS);
      found.push(...(await mapLimit(some, READS, look)).filter((one) => one !== undefined));
    }
    return found.slice(0, limit);
  }

  /** The newest `limit` deployments that have a signed record. Local deployments have none. */
  const records = async (service: string, limit: number): Promise<StoredDeployment[]> =>
    await firstOf(await ids(service), limit, (id) => readable(service, id));

  /** The order of the ids depends on the clocks of the publishers, which may differ. Sequences only increase. */
  async function recent(service: string): Promise<StoredDeployment[]> {
    const all = await ids(service);
    const look = (id: string) => readable(service, id);
    const found = await firstOf(all.slice(0, LOOKS), READS, look);
    // An instance can write reports about any number of deployments that never were: the newest record is behind them.
    if (found.length === 0) return await firstOf(all.slice(LOOKS), 1, look);
    return found.sort((a, b) => b.value.sequence - a.value.sequence);
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
      const all = await ids(service);
      const from = typeof since === 'function' ? since() : since;
      const recent = all.filter((id) => ulidTime(id) >= from);
      return await firstOf(recent, limit, async (id) => {
        const past = await readPast(service, id);
        return past && wanted(past) ? past : undefined;
      });
    },
    recent,
    async unverified(service) {
      const [past, future] = await split(service);
      const newest = past.slice(0, READS);
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
    services,
  };
}
