import type * as z from 'zod';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { keys, serviceName, ulid, ulidTime } from '../../shared/names.ts';
import { type InstanceRecord, instanceRecord, type Report, report } from '../../shared/report.ts';
import { type DeploymentRecord, deploymentRecord } from './deployment-schema.ts';
import { localDeployment, type PastDeployment } from './local-deployment.ts';
import { mapLimit } from './map-limit.ts';
import { nonce, type Objects, type StoredValue } from './objects.ts';

/** A record as it was read: a write names, by ETag, the version that it replaces. */
export type StoredDeployment = StoredValue<DeploymentRecord>;

/** Reads the reports that are new or changed since the last call. */
export type ReportReader = () => Promise<Report[]>;

export interface Deployments {
  /** @throws CONDITION_FAILED when the id is taken. */
  create(record: Omit<DeploymentRecord, 'nonce'>): Promise<StoredDeployment>;
  /**
   * The same change with the same `nonce` may be written again: that succeeds.
   * @throws CONDITION_FAILED when another publisher has written it since it was read.
   */
  update(stored: StoredDeployment, change: Partial<DeploymentRecord>): Promise<StoredDeployment>;
  /** @throws DEPLOYMENT_NOT_FOUND. */
  read(service: string, id: string): Promise<StoredDeployment>;
  /** The newest first, `limit` at most. An unreadable one is skipped with a warning. */
  list(service: string, limit: number): Promise<DeploymentRecord[]>;
  /**
   * As `list`, with the local deployments of single instances; only deployments since a time (ms), and only those
   * that are `wanted`.
   */
  history(
    service: string,
    limit: number,
    which?: { since?: number | undefined; wanted?: (one: PastDeployment) => boolean },
  ): Promise<PastDeployment[]>;
  /** The one with the highest sequence; undefined when there is none. */
  newest(service: string): Promise<StoredDeployment | undefined>;
  /** The service of a deployment. @throws DEPLOYMENT_NOT_FOUND. */
  find(id: string): Promise<string>;
  /** Every report in the record. */
  reports(service: string, id: string): Promise<Report[]>;
  reportReader(service: string, id: string): ReportReader;
  /** The latest record of each instance that has the service, without those that left. */
  instances(service: string): Promise<InstanceRecord[]>;
  /** The services with a state in this environment. */
  services(): Promise<string[]>;
}

/** How many objects are read at a time. */
const READS = 32;

export function openDeployments(
  env: string,
  objects: Objects,
  /** Called for each object that cannot be read, or that names another instance than its key. */
  warn: (text: string) => void,
): Deployments {
  async function read(service: string, id: string): Promise<StoredDeployment> {
    const stored = await objects.readJson(keys.deployment(env, service, id), deploymentRecord);
    if (stored === undefined) throw notFound(env, id);
    return stored;
  }

  /** Undefined for one that is missing or unreadable: the others can still be listed. */
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

  /** What `look` finds for the first `limit` ids for which it finds something, in order. */
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

  /** The newest `limit` that have a record: local deployments have none. */
  const records = async (service: string, limit: number): Promise<StoredDeployment[]> =>
    await firstOf(await ids(service), limit, (id) => readable(service, id));

  const services = async () =>
    (await objects.folders(keys.services(env))).filter((name) => serviceName.safeParse(name).success);

  function reportReader(service: string, id: string): ReportReader {
    const known = new Map<string, string>();
    return async () => {
      const listed = await objects.list(keys.reports(env, service, id));
      const fresh = listed.filter((one) => known.get(one.key) !== one.etag);
      const read = await mapLimit(fresh, READS, async (one) => {
        const found = await readOwn(one.key, report, (said) => {
          return (
            said.deployment === id &&
            said.service === service &&
            one.key === keys.report(env, service, id, said.instance)
          );
        });
        known.set(one.key, one.etag);
        return found;
      });
      return read.filter((one) => one !== undefined);
    };
  }

  /**
   * The object at `key`, if `own` confirms that it names the same instance and deployment as the key; undefined,
   * with a warning, if not.
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
      const recent = (await ids(service)).filter((id) => ulidTime(id) >= since);
      return await firstOf(recent, limit, async (id) => {
        const past =
          (await readable(service, id))?.value ?? localDeployment(await reportReader(service, id)());
        return past && wanted(past) ? past : undefined;
      });
    },
    async newest(service) {
      // Ids are made by the publishers' clocks, which may differ; sequences are not.
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
