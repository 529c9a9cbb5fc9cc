import type * as z from 'zod';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { instanceId, keys } from '../../shared/names.ts';
import { type InstanceRecord, instanceRecord, type Report, report } from '../../shared/report.ts';
import { maySpeakFor, type Sessions, userId } from '../../shared/role-session.ts';
import { mapLimit } from './map-limit.ts';
import type { Objects } from './objects.ts';

/**
 * What instances write into the record: reports, and what they run. Each instance writes below keys that end in its own
 * `aws:userid`, and IAM lets it write no other. An object counts only if this userid may speak for the instance that the
 * object names.
 */

/**
 * A function that reads the reports which are new or changed since its last call. An object whose ETag is in `heard` is
 * not read: its text has come as a reply.
 */
export type ReportReader = (heard?: ReadonlySet<string>) => Promise<Report[]>;

/** The instances that have an object, read or not. */
export interface ListedInstances {
  /** The instances by the names of their objects: also those that left, and those whose objects count for nothing. */
  names: string[];
  /** When each instance last wrote its record, ms since the epoch by S3's clock; without objects that count for nothing. */
  writtenAt: ReadonlyMap<string, number>;
  /**
   * The latest record of each instance that has the service, without those that left. Where several userids may speak
   * for an instance, the record that was written last counts. Before each read, `skip` says whether to leave it out.
   */
  read(skip?: (instance: string) => boolean): Promise<InstanceRecord[]>;
}

/** An object that an instance wrote, by its key. */
export interface WrittenObject {
  key: string;
  instance: string;
  etag: string;
  lastModified: number; // ms since the epoch, by S3's clock
  size: number; // bytes
}

/** When instances last wrote, by instance: ms since the epoch, by S3's clock. */
export interface LastWrites {
  heartbeats: ReadonlyMap<string, number>;
  /** Their records of the service. */
  records: ReadonlyMap<string, number>;
}

/** How many objects are read at a time. */
const READS = 32;
/** So many warnings are remembered. */
const MOST_WARNED = 1000;
/** More instances than this are not believed: one that writes as many others is no instance. */
const MOST_INSTANCES = 10_000;

export interface InstanceObjectsContext {
  env: string;
  objects: Objects;
  /** The role sessions of the instances whose session is not the instance id. */
  sessions?: Sessions | undefined;
  /** Called for each object that is invalid, or that was written by somebody else than it names. */
  warn: (text: string) => void;
}

export function openInstanceObjects(context: InstanceObjectsContext) {
  const { env, objects, sessions = {} } = context;
  const warned = new Set<string>();
  /** Each warning once: a deployment is polled for as long as it lasts. */
  function warn(text: string): void {
    if (warned.has(text)) return;
    // A console lives for months, and anyone may write objects that are invalid in ever new ways.
    if (warned.size >= MOST_WARNED) warned.clear();
    warned.add(text);
    context.warn(text);
  }

  function reportReader(service: string, id: string): ReportReader {
    const known = new Map<string, string>();
    // The reports that were read but not returned yet, by key: if one read fails, the next call returns the others.
    const unreturned = new Map<string, Report>();
    return async (heard) => {
      const listed = await ownObjects(keys.reports(env, service, id));
      const fresh = listed.filter((one) => known.get(one.key) !== one.etag && !heard?.has(one.etag));
      await mapLimit(fresh, READS, async (one) => {
        const found = await readOwn(
          one,
          report,
          (said) => said.deployment === id && said.service === service,
        );
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

  /** Whether the object is of an instance that is skipped. One that `sessions` names otherwise is not. */
  function isSkipped(by: string, skip: (instance: string) => boolean): boolean {
    const instance = sessionPart(by);
    return skip(instance) && maySpeakFor(by, instance, sessions);
  }

  async function listInstances(service: string): Promise<ListedInstances> {
    const listed = await ownObjects(keys.instances(env, service));
    const oldestFirst = listed.sort((a, b) => a.lastModified - b.lastModified);
    return {
      names: [...new Set(listed.map(({ by }) => sessionPart(by)))],
      // The oldest first: of two, the later one stays.
      writtenAt: new Map(
        oldestFirst.flatMap(({ by, lastModified }) => {
          const instance = instanceOf(by, sessions);
          return instance === undefined ? [] : [[instance, lastModified] as const];
        }),
      ),
      async read(skip = () => false) {
        const records = await mapLimit(oldestFirst, READS, async (one) =>
          isSkipped(one.by, skip)
            ? undefined
            : await readOwn(one, instanceRecord, (said) => said.service === service),
        );
        const latest = new Map(records.flatMap((record) => (record ? [[record.instance, record]] : [])));
        return [...latest.values()].filter(({ leftAt }) => leftAt === undefined);
      },
    };
  }

  const instances = async (service: string) => await (await listInstances(service)).read();

  /** The objects right below `prefix` that instances wrote, not read. One whose writer is no instance is left out. */
  async function written(prefix: string): Promise<WrittenObject[]> {
    return (await ownObjects(prefix, Number.POSITIVE_INFINITY)).flatMap(({ by, ...one }) => {
      const instance = instanceOf(by, sessions);
      return instance === undefined ? [] : [{ ...one, instance }];
    });
  }

  /** Only lists: the objects themselves are not read. What they say could be forged, and when they were written not. */
  async function lastWrites(service: string): Promise<LastWrites> {
    const [heartbeats, records] = await Promise.all(
      [keys.heartbeats(env), keys.instances(env, service)].map(async (prefix) => {
        const last = new Map<string, number>();
        for (const { instance, lastModified } of await written(prefix)) {
          last.set(instance, Math.max(lastModified, last.get(instance) ?? 0));
        }
        return last;
      }),
    );
    return { heartbeats: heartbeats ?? new Map(), records: records ?? new Map() };
  }

  /**
   * The objects right below `prefix` whose names are userids. A `*` in a policy matches a `/` as well, so an instance can
   * write any number of objects further below: they are not looked at.
   * @throws RECORD_DAMAGED when there are too many.
   */
  async function ownObjects(prefix: string, most = MOST_INSTANCES) {
    const listed = (await objects.list(prefix, 'right below')).map((one) => ({
      ...one,
      by: writerOf(one.key),
    }));
    const old = listed.flatMap(({ key, by }) => (by === undefined && oldName(key) ? [key] : []));
    const own = listed.flatMap(({ by, ...one }) => (by === undefined ? [] : [{ ...one, by }]));
    const updated = new Set(own.map(({ by }) => sessionPart(by)));
    const waiting = old.filter((key) => !updated.has(oldName(key) ?? ''));
    if (waiting.length > 0) {
      warn(
        `${waiting.slice(0, 5).map(oldName).join(', ')} ${waiting.length > 5 ? `and ${waiting.length - 5} more ` : ''}wrote as agents of version 0.1 do, which counts for nothing: update the agent, or delete what is below ${prefix}`,
      );
    }
    if (own.length <= most) return own;
    throw new TriggerDeployError(
      'RECORD_DAMAGED',
      `there are more than ${MOST_INSTANCES} objects of instances below ${prefix}`,
      { hint: 'find out who wrote them, then delete those that belong to no instance' },
    );
  }

  /** Reads an object. Undefined, with a warning, if it is invalid, or not about what its key says. */
  async function readOwn<T extends { env: string; instance: string }>(
    { key, by, etag }: { key: string; by: string; etag: string },
    schema: z.ZodType<T>,
    isAbout: (value: T) => boolean,
  ): Promise<T | undefined> {
    const found = await readValid(key, schema, etag);
    if (found === undefined) return undefined;
    if (found.env !== env || !isAbout(found)) {
      warn(`${key} names another service, deployment or environment; ignored`);
    } else if (!maySpeakFor(by, found.instance, sessions)) {
      warn(`${key} speaks for ${found.instance}; ignored`);
    } else return found;
    return undefined;
  }

  /** Reads an object that anyone may have written. Undefined, with a warning, if it is invalid. */
  async function readValid<T>(key: string, schema: z.ZodType<T>, listed?: string): Promise<T | undefined> {
    try {
      return (await objects.readJson(key, schema, listed))?.value;
    } catch (error) {
      if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
      warn(`${error.message}; ignored`);
      return undefined;
    }
  }

  return { reportReader, listInstances, instances, written, lastWrites, readValid };
}

/** The role session of a userid; for a user, the whole. */
const sessionPart = (by: string) => by.slice(by.indexOf(':') + 1);

/** The instance for which `by` may speak; undefined when there is none. */
function instanceOf(by: string, sessions: Sessions): string | undefined {
  const named = Object.keys(sessions).find((instance) => maySpeakFor(by, instance, sessions));
  const own = sessionPart(by);
  return named ?? (maySpeakFor(by, own, sessions) ? own : undefined);
}

const nameOf = (key: string) => key.slice(key.lastIndexOf('/') + 1).replace(/\.json$/, '');

/** The userid in the name of an object; undefined when its name is none. */
function writerOf(key: string): string | undefined {
  const parsed = userId.safeParse(nameOf(key));
  return parsed.success ? parsed.data : undefined;
}

/** The instance in the name of an object that an agent of version 0.1 wrote. */
function oldName(key: string): string | undefined {
  const parsed = instanceId.safeParse(nameOf(key));
  return parsed.success ? parsed.data : undefined;
}
