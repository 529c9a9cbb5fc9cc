import { isCode, messageOf } from '../../shared/errors.ts';
import { agentQueueName, ENV_TAG, isReplyQueueName, replyQueueName, ulidTime } from '../../shared/names.ts';
import { replyIdsOf } from '../record/held-lock.ts';
import { mapLimit } from '../record/map-limit.ts';
import type { Cleaner } from './aws-cleaner.ts';
import { collect, type GcContext, keep } from './finding.ts';
import { type Fleet, isTagged, ownerOf, untagged } from './instances.ts';

/** Deletes the queues and subscriptions of instances that are gone, and the reply queues of publishers that have died. */

const DELETES = 8;
/** How old a queue must be, ms: an instance that starts makes its queue before it has a record. */
const YOUNG_MS = 3_600_000;
/** How old a reply queue must be, ms. A publisher that waits longer holds a lock, which names the queue. */
const REPLY_AGE_MS = 24 * 3_600_000;

/** What AWS has of an environment. The subscriptions are listed before the queues: each one seen has had a queue. */
export interface Inventory {
  /** ARNs of subscriptions by the names of their queues. */
  subscriptions: ReadonlyMap<string, string>;
  /** URLs by name. */
  queues: ReadonlyMap<string, string>;
}

/** The subscriptions of queues of the environment in the topic's own account and region. */
export async function ownSubscriptions(cleaner: Cleaner, topic: string): Promise<Map<string, string>> {
  const prefix = topic.replace(':sns:', ':sqs:').replace(/[^:]+$/, '');
  const own = new Map<string, string>();
  for (const [endpoint, arn] of await cleaner.listSubscriptions(topic)) {
    if (endpoint.startsWith(prefix)) own.set(endpoint.slice(prefix.length), arn);
  }
  return own;
}

/** Subscriptions of instances that are gone, and those whose queue does not exist any more. */
export async function cleanSubscriptions(
  context: GcContext,
  cleaner: Cleaner,
  { subscriptions, queues }: Inventory,
  fleet: Fleet,
): Promise<void> {
  const { env, clock } = context.session;
  await mapLimit([...subscriptions], DELETES, async ([name, arn]) => {
    const instance = ownerOf(env.name, name);
    if (instance === undefined) return;
    const gone = fleet.gone.get(instance);
    if (gone === undefined && (queues.has(name) || fleet.answered.has(instance))) return;
    const why = gone?.why ?? 'its queue does not exist';
    const ageMs = gone && gone.lastSeen > 0 ? clock.now() - gone.lastSeen : undefined;
    await collect(context, { kind: 'subscriptions', name: `of ${name}`, why, ageMs }, async () => {
      // The list of queues may lag behind: this answer does not.
      if (gone === undefined) {
        const mayExist = await hasQueue(cleaner, name);
        if (mayExist) return mayExist === true ? 'its queue exists' : mayExist;
      }
      await cleaner.unsubscribe(arn);
      return undefined;
    });
  });
}

/** Whether the queue exists; why that cannot be known, where the policy does not know a queue of this name. */
async function hasQueue(cleaner: Cleaner, name: string): Promise<boolean | string> {
  try {
    return await cleaner.hasQueue(name);
  } catch (error) {
    if (!isCode(error, 'AWS_DENIED')) throw error;
    return messageOf(error);
  }
}

/** Queues of instances that are gone. One without the tags of this environment is not ours, and is left alone. */
export async function cleanQueues(
  context: GcContext,
  cleaner: Cleaner,
  { queues }: Inventory,
  fleet: Fleet,
): Promise<void> {
  const { env, clock } = context.session;
  for (const [name, why] of fleet.strangers) keep(context, { kind: 'queues', name, why });
  await mapLimit([...fleet.gone.values()], DELETES, async ({ instance, why, lastSeen }) => {
    const name = agentQueueName(env.name, instance);
    const url = queues.get(name);
    if (url === undefined) return;
    const facts = await cleaner.queueFacts(url);
    if (facts === undefined) return;
    const ageMs = clock.now() - Math.max(lastSeen, lastSeen > 0 ? 0 : facts.createdAt);
    const found = { kind: 'queues' as const, name, why, ageMs };
    if (!isTagged(facts.tags, env.name, instance)) {
      keep(context, { ...found, why: untagged(env.name) });
    } else if (!(clock.now() - facts.createdAt >= YOUNG_MS)) {
      keep(context, { ...found, why: `${why}, but the queue was made within the hour` });
    } else {
      await collect(context, found, async () => {
        await cleaner.deleteQueue(url);
        return undefined;
      });
    }
  });
}

/** Reply queues that are older than a day, without those of publishers that hold a lock. */
export async function cleanReplyQueues(
  context: GcContext,
  cleaner: Cleaner,
  { queues }: Inventory,
): Promise<void> {
  const { env, clock, record } = context.session;
  const prefix = replyQueueName(env.name, '');
  const isOld = (made: number) => clock.now() - made >= REPLY_AGE_MS;
  const old = [...queues].filter(
    ([name]) => isReplyQueueName(env.name, name) && isOld(ulidTime(name.slice(prefix.length))),
  );
  if (old.length === 0) return;
  const inUse = new Set<string>();
  for (const service of await record.deployments.services()) {
    const { owner, dead } = await record.locks.look(service);
    if (owner !== null && !dead)
      for (const id of replyIdsOf(owner.id)) inUse.add(replyQueueName(env.name, id));
  }
  await mapLimit(old, DELETES, async ([name, url]) => {
    const ageMs = clock.now() - ulidTime(name.slice(prefix.length));
    const found = { kind: 'reply-queues' as const, name, why: 'its publisher has died', ageMs };
    if (inUse.has(name)) return keep(context, { ...found, why: 'its publisher holds a lock' });
    const facts = await cleaner.queueFacts(url);
    if (facts === undefined) return;
    const tag = facts.tags[ENV_TAG];
    if (!isOld(facts.createdAt) || (tag !== undefined && tag !== env.name)) return;
    await collect(context, found, async () => {
      await cleaner.deleteQueue(url);
      return undefined;
    });
  });
}
