import { CreateQueueCommand, TagQueueCommand } from '@aws-sdk/client-sqs';
import type { Aws } from '../../shared/aws.ts';
import { awsError } from '../../shared/aws-errors.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { ownTags, type QueueTags } from '../../shared/queue-tags.ts';
import { isNoSuchQueue } from './aws-call.ts';

export interface TaggedQueueOptions {
  aws: Aws;
  /** The name of the queue. */
  name: string;
  env: string;
  instance: string;
  services: readonly string[];
  /** The operator's own tags. */
  queueTags: QueueTags;
  /** The `aws:userid` of this instance. */
  userId: (signal: AbortSignal) => Promise<string>;
  log: Log;
}

/**
 * Creates and tags this instance's own queue. A policy can allow an instance the queue that has its own userid as a tag,
 * and no other (SQS Developer Guide, "Attribute-based access control for Amazon SQS"). Missing tags never keep an
 * instance from its queue: its role may have the policy of an older version. Where the role may not set the operator's tags, the
 * queue gets ours alone.
 *
 * A tag that is no longer in the config stays. To remove it, the role would need sqs:UntagQueue, and with that an instance could give
 * its queue to another one.
 */
export function createTaggedQueue(options: TaggedQueueOptions) {
  const { aws, name, queueTags, userId, log } = options;

  /** The sets of tags to try, the best first. */
  async function tagSets(signal: AbortSignal): Promise<Record<string, string>[]> {
    const own = ownTags({ ...options, userId: await userId(signal) });
    return Object.keys(queueTags).length === 0 ? [own] : [{ ...queueTags, ...own }, own];
  }

  /** Calls `attempt` with each set of tags until AWS does not refuse it. @throws all other errors, and the last refusal. */
  async function tryEach<T>(
    sets: readonly Record<string, string>[],
    attempt: (tags: Record<string, string>) => Promise<T>,
  ): Promise<T> {
    const [tags = {}, ...rest] = sets;
    try {
      return await attempt(tags);
    } catch (error) {
      if (rest.length === 0 || !isDenied(error)) throw error;
      const why = messageOf(error);
      log.warn(
        { queue: name, why },
        'the role may not set queueTags; the queue gets only the tags of the agent',
      );
      return await tryEach(rest, attempt);
    }
  }

  const isDenied = (error: unknown) => isCode(awsError(error, `tag the queue ${name}`), 'AWS_DENIED');
  const untagged = (error: unknown) => {
    const what = isDenied(error)
      ? 'the queue has no tags: the role needs sqs:TagQueue'
      : 'the queue could not be tagged; the next start tries it again';
    log.warn({ queue: name, why: messageOf(error) }, what);
  };

  return {
    /** Creates the queue; returns its URL. @throws the errors of SQS and STS. */
    async create(abortSignal: AbortSignal): Promise<string | undefined> {
      const create = async (more: { tags?: Record<string, string> }) =>
        (await aws.sqs.send(new CreateQueueCommand({ QueueName: name, ...more }), { abortSignal })).QueueUrl;
      const sets = await tagSets(abortSignal);
      try {
        return await tryEach(sets, async (tags) => await create({ tags }));
      } catch (error) {
        if (!isDenied(error)) throw error;
        untagged(error);
        return await create({});
      }
    },

    /**
     * Sets the tags of a queue that exists: those of the config may be others now, and an agent of version 0.1 created it without
     * tags. @throws when the queue is gone.
     */
    async tag(QueueUrl: string, abortSignal: AbortSignal): Promise<void> {
      try {
        await tryEach(await tagSets(abortSignal), async (Tags) => {
          await aws.sqs.send(new TagQueueCommand({ QueueUrl, Tags }), { abortSignal });
        });
      } catch (error) {
        abortSignal.throwIfAborted();
        if (isNoSuchQueue(error)) throw error;
        untagged(error);
      }
    },
  };
}
