import type * as z from 'zod';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { keys, serviceName, ulid, ulidTime } from '../../shared/names.ts';
import { type InstanceRecord, instanceRecord, type Report, report } from '../../shared/report.ts';
import { type DeploymentRecord, deploymentRecord } from './deployment-schema.ts';
import { localDeployment, type PastDeployment } from './local-deployment.ts';
import { mapLimit } from './map-limit.ts';
import { nonce, type Objects, type StoredValue } from './objects.ts';

/** A record as it was read, with its ETag: a write replaces only this version of the record. */
export type StoredDeployment = StoredValue<DeploymentRecord>;

/** A function that reads the reports which are new or changed since its last call. */
export type ReportReader = () => Promise<Report[]>;

export interface Deployments {
  /** @throws CONDITION_FAILED when the id is taken. */
  create(record: Omit<DeploymentRecord, 'nonce'>): Promise<StoredDeployment>;
  /**
   * Writes `stored` with `change`. The write can be repeated: the same change with the same `nonce` succeeds again.
   * @throws CONDITION_FAILED when another publisher has written the record since it was read.
   */
  update(stored: StoredDeployment, change: Partial<DeploymentRecord>): Promise<StoredDeployment>;
  /** @throws DEPLOYMENT_NOT_FOUND. */
  read(service: string, id: string): Promise<StoredDeployment>;
  /** The newest first, `limit` at most. An unreadable one is skipped with a warning. */
  list(service: string, limit: number): Promise<DeploymentRecord[]>;
  /**
   * Like `list`, and includes local deployments. With `since` (ms since the epoch) without older deployments; with
   * `wanted` only those for which it returns true. A `since` that is a function is called after the first answer of AWS,
   * so it can use AWS's time.
   */
  history(
    service: string,
    limit: number,
    which?: { since?: number | (() => number) | undefined; wanted?: (one: PastDeployment) => boolean },
  ): Promise<PastDeployment[]>;
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

export function openDeployments(
  env: string,
  objects: Objects,
  /** Called for each object that is invalid, or that names another instance or deployment than its key. */
  warn: (text: string) => void,
): Deployments {
  async function read(service: string, id: string): Promise<StoredDeployment> {
    const stored = await objects.readJson(keys.deployment(env, service, id), deploymentRecord);
    if (stored === undefined) throw notFound(env, id);
    return stored;
  }

  /** Undefined if the record is missing or invalid, so that a list can skip it. */
  async function readable(service: string, id: string): Promise<StoredDeployment | undefined> {
    try {
      return await read(service, id);
    } catch (error) {
      if (!isCode(error, 'DOCUMENT_INVALID', 'DEPLOYMENT_NOT_FOUND')) throw error;
      if (error.code === 'DOCUMENT_INVALID') warn(`${error.message}; skipped`);
      return undefined;
    }
  }

  async function ids(service: string): Promise<string[]> {
    const folders = await objects.folders(keys.deployments(env, service));
    return folders.filter((name) => ulid.safeParse(name).success).reverse();
  }

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

  /** The newest `limit` deployments that have a `deployment.json`. Local deployments have none. */
  const records = async (service: string, limit: number): Promise<StoredDeployment[]> =>
    await firstOf(await ids(service), limit, (id) => readable(service, id));

  const services = async () =>
    (await objects.folders(keys.services(env))).filter((name) => serviceName.safeParse(name).success);

  function reportReader(service: string, id: string): ReportReader {
    const known = new Map<string, string>();
    // The reports that were read but not returned yet, by key: if one read fails, the next call returns the others.
    const unreturned = new Map<string, Report>();
    return async () => {
      const listed = await objects.list(keys.reports(env, service, id));
      const fresh = listed.filter((one) => known.get(one.key) !== one.etag);
      await mapLimit(fresh, READS, async (one) => {
        const found = await readOwn(one.key, report, (said) => {
          return (
            said.deployment === id &&
            said.service === service &&
            one.key === keys.report(env, service, id, said.instance)
          );
        });
        known.set(one.key, one.etag);
        if (found !== undefined) unreturned.set(one.key, found);
      });
      return listed.flatMap(({ key }) => {
        const found = unreturned.get(key);
        unreturned.delete(key);
        return found ?? [];
      });
    };
  }

  /**
   * Reads the object at `key`. If it is invalid, or `own` finds that it names another instance or deployment than its
   * key, the result is undefined, with a warning.
   */
  async function readOwn<T>(
    key: string,
    schema: z.ZodType<T>,
    own: (value: T) => boolean,
  ): Promise<T | undefined> {
    try {
      const stored = await objects.readJson(key, schema);
      if (stored === undefined || own(stored.value)) return stored?.value;
      warn(`${key} names another instance or deployment; ignored`);
    } catch (error) {
      if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
      warn(`${error.message}; ignored`);
    }
    return undefined;
  }

  return {
    async create(record) {
      const value: DeploymentRecord = deploymentRecord.parse({ ...record, nonce: nonce() });
      const key = keys.deployment(env, value.service, value.deployment);
      const etag = await objects.putNew(key, JSON.stringify(value, null, 2));
      return { value, etag, lastModified: Date.parse(value.announcedAt) };
    },
    async update(stored, change) {
      const value = deploymentRecord.parse({ ...stored.value, nonce: nonce(), ...change });
      const key = keys.deployment(env, value.service, value.deployment);
      const etag = await objects.putIf(key, JSON.stringify(value, null, 2), stored.etag);
      return { value, etag, lastModified: stored.lastModified };
    },
    read,
    list: async (service, limit) => (await records(service, limit)).map((one) => one.value),
    async history(service, limit, { since = 0, wanted = () => true } = {}) {
      const all = await ids(service);
      const from = typeof since === 'function' ? since() : since;
      const recent = all.filter((id) => ulidTime(id) >= from);
      return await firstOf(recent, limit, async (id) => {
        const past =
          (await readable(service, id))?.value ?? localDeployment(await reportReader(service, id)());
        return past && wanted(past) ? past : undefined;
      });
    },
    async newest(service) {
      // The order of the ids depends on the clocks of the publishers, which may differ. Sequences only increase.
      const candidates = await records(service, READS);
      return candidates.sort((a, b) => b.value.sequence - a.value.sequence)[0];
    },
    async find(id) {
      const names = await services();
      const here = await mapLimit(names, READS, async (name) => {
        if (await objects.exists(keys.deployment(env, name, id))) return true;
        return (await objects.list(keys.reports(env, name, id))).length > 0;
      });
      const service = names[here.indexOf(true)];
      if (service === undefined) throw notFound(env, id);
      return service;
    },
    reports: (service, id) => reportReader(service, id)(),
    reportReader,
    async instances(service) {
      const prefix = keys.instances(env, service);
      const listed = await objects.list(prefix);
      const records = await mapLimit(listed, READS, ({ key }) =>
        readOwn(key, instanceRecord, (said) => key === keys.instance(env, service, said.instance)),
      );
      return records.filter((record) => record !== undefined).filter(({ leftAt }) => leftAt === undefined);
    },
    services,
  };
}

function notFound(env: string, id: string): TriggerDeployError {
  return new TriggerDeployError('DEPLOYMENT_NOT_FOUND', `there is no deployment ${id} in ${env}`, {
    hint: 'trigger-deploy history SERVICE lists deployments; --env selects the environment',
  });
}
