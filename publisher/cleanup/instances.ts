import { isCode, messageOf } from '../../shared/errors.ts';
import {
  agentQueueName,
  ENV_TAG,
  INSTANCE_TAG,
  instanceId,
  isReplyQueueName,
  keys,
} from '../../shared/names.ts';
import { instanceRecord } from '../../shared/report.ts';
import { note } from '../events.ts';
import { ec2Word } from '../fleet/forgetting.ts';
import { rollCall } from '../messaging/roll-call.ts';
import type { WrittenObject } from '../record/instance-objects.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Session } from '../session.ts';
import type { Cleaner } from './aws-cleaner.ts';
import { type InstanceFacts, whyGone } from './gone.ts';

/** Finds the instances of an environment that are gone, and what each of them has left behind in the record. */

/** How long instances have to answer, ms, and how often they are asked meanwhile. */
const ANSWER_MS = 8000;
const ASK_AGAIN_MS = 2500;
const READS = 16;

export interface GoneInstance {
  instance: string;
  why: string;
  lastSeen: number; // ms since the epoch
  /** Its records of all services, and its heartbeat last. */
  objects: WrittenObject[];
}

export interface Fleet {
  answered: ReadonlySet<string>;
  gone: ReadonlyMap<string, GoneInstance>;
  /** Queues that are named as those of instances, and are not known to be of one: why, by name. */
  strangers: ReadonlyMap<string, string>;
  /** What the instances that answered run, by service. */
  running: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * Asks all instances, and judges those that do not answer. `queues` has the queues of the environment by name. Undefined,
 * with a warning, when they cannot be asked: then nothing of an instance is deleted.
 */
export async function findGone(
  session: Session,
  cleaner: Cleaner,
  queues: ReadonlyMap<string, string>,
): Promise<Fleet | undefined> {
  const { env, clock, record } = session;
  const services = await record.deployments.services();
  const heartbeats = await record.deployments.written(keys.heartbeats(env.name));
  const records = (
    await mapLimit(services, READS, (name) => record.deployments.written(keys.instances(env.name, name)))
  ).flat();
  const byInstance = Map.groupBy([...records, ...heartbeats], ({ instance }) => instance);
  const owners = [...queues.keys()].flatMap((name) => ownerOf(env.name, name) ?? []);
  const known = [...new Set([...byInstance.keys(), ...owners])];
  const warn = (text: string) => note(session, text, 'warning');
  const answers = await rollCall(session, { known, waitMs: ANSWER_MS, askAgainMs: ASK_AGAIN_MS }).catch(
    (error: unknown) => {
      if (session.signal.aborted || !isCode(error)) throw error;
      warn(`the instances cannot be asked, so nothing of an instance is deleted: ${messageOf(error)}`);
      return undefined;
    },
  );
  if (answers === undefined) return undefined;
  const answered = new Set(answers.map(({ instance }) => instance));
  const silent = known.filter((instance) => !answered.has(instance));
  const { word, isId } = await ec2Word(session, { silent, answered: [...answered], warn });
  const gone = new Map<string, GoneInstance>();
  const strangers = new Map<string, string>();
  await mapLimit(silent, READS, async (instance) => {
    const objects = byInstance.get(instance) ?? [];
    const facts = await factsOf(session, objects);
    // Of one without an object, only the queue says whether it is an instance, and how old it is.
    if (objects.length === 0) {
      const name = agentQueueName(env.name, instance);
      const made = await queueMadeOf(cleaner, queues.get(name) ?? '', { env: env.name, instance });
      if (typeof made !== 'number') {
        if (made !== undefined) strangers.set(name, made);
        return;
      }
      facts.queueMade = made;
    }
    const verdict = whyGone(instance, facts, word, { now: clock.now(), isId });
    if (verdict) gone.set(instance, { instance, ...verdict, objects });
  });
  return { answered, gone, strangers, running: runningIn(answers) };
}

/**
 * When the queue of the instance was made, ms since the epoch; a text that says why it is not known to be one of an
 * instance; undefined when it is gone. Somebody else may have named a queue alike, and subscribed it.
 */
async function queueMadeOf(
  cleaner: Cleaner,
  url: string,
  { env, instance }: { env: string; instance: string },
): Promise<number | string | undefined> {
  try {
    const facts = await cleaner.queueFacts(url);
    if (facts === undefined) return undefined;
    const { createdAt, tags } = facts;
    return isTagged(tags, env, instance) ? createdAt : untagged(env);
  } catch (error) {
    if (!isCode(error, 'AWS_DENIED')) throw error;
    return messageOf(error);
  }
}

/** Whether the tags are those of the queue of this instance. */
export const isTagged = (tags: Readonly<Record<string, string>>, env: string, instance: string): boolean =>
  tags[ENV_TAG] === env && tags[INSTANCE_TAG] === instance;

export const untagged = (env: string): string =>
  `it has no tag ${ENV_TAG}: ${env} of this instance; if it is nobody's, delete it by hand`;

async function factsOf({ record, env }: Session, objects: readonly WrittenObject[]): Promise<InstanceFacts> {
  const isHeartbeat = ({ key }: WrittenObject) => key.startsWith(keys.heartbeats(env.name));
  const records = objects.filter((one) => !isHeartbeat(one));
  const left = await mapLimit(records, READS, async ({ key }) => {
    const stored = await record.objects.readJson(key, instanceRecord).catch((error: unknown) => {
      if (!isCode(error, 'DOCUMENT_INVALID')) throw error;
      return undefined;
    });
    return stored?.value.leftAt !== undefined;
  });
  const last = (all: readonly WrittenObject[]) =>
    all.length === 0 ? undefined : Math.max(...all.map(({ lastModified }) => lastModified));
  return {
    answered: false,
    heartbeat: last(objects.filter(isHeartbeat)),
    record: last(records),
    hasLeft: left.length > 0 && left.every(Boolean),
    queueMade: undefined,
  };
}

function runningIn(answers: Awaited<ReturnType<typeof rollCall>>): Map<string, Set<string>> {
  const running = new Map<string, Set<string>>();
  for (const { service, version } of answers.flatMap(({ services }) => services)) {
    if (version === null) continue;
    running.set(service, (running.get(service) ?? new Set()).add(version));
  }
  return running;
}

/** The instance whose queue has this name; undefined when it is no queue of an instance of the environment. */
export function ownerOf(env: string, name: string): string | undefined {
  const prefix = agentQueueName(env, '');
  if (!name.startsWith(prefix) || isReplyQueueName(env, name)) return undefined;
  const parsed = instanceId.safeParse(name.slice(prefix.length));
  return parsed.success ? parsed.data : undefined;
}
