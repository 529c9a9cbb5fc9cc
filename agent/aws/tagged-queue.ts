import { CreateQueueCommand, TagQueueCommand } from '@aws-sdk/client-sqs';
import type { Aws } from '../../shared/aws.ts';
import { awsError } from '../../shared/aws-errors.ts';
import { isCode, messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { isNoSuchQueue } from './aws-call.ts';

export interface TaggedQueueOptions {
  aws: Aws;
  /** The name of the queue. */
  name: string;
  env: string;
  instance: string;
  /** The `aws:userid` of this instance. */
  userId: (signal: AbortSignal) => Promise<string>;
  log: Log;
}

/**
 * Creates and tags this instance's own queue. A policy can allow an instance the queue that has its own userid as a tag,
 * and no other (SQS Developer Guide, "Attribute-based access control for Amazon SQS"). Missing tags never keep an
 * instance from its queue: its role may have the policy of an older version.
 */
export function createTaggedQueue({ aws, name, env, instance, userId, log }: TaggedQueueOptions) {
  const tags = async (signal: AbortSignal) => ({
    'trigger-deploy:env': env,
    'trigger-deploy:instance': instance,
    'trigger-deploy:userid': await userId(signal),
  });
  const untagged = (error: unknown) =>
    log.warn({ queue: name, why: messageOf(error) }, 'the queue has no tags: the role needs sqs:TagQueue');

  return {
    /** Creates the queue; returns its URL. @throws the errors of SQS and STS. */
    async create(abortSignal: AbortSignal): Promise<string | undefined> {
      const create = async (more: { tags?: Record<string, string> }) =>
        (await aws.sqs.send(new CreateQueueCommand({ QueueName: name, ...more }), { abortSignal })).QueueUrl;
      const own = await tags(abortSignal);
      try {
        return await create({ tags: own });
      } catch (error) {
        if (!isCode(awsError(error, `create the queue ${name}`), 'AWS_DENIED')) throw error;
        untagged(error);
        return await create({});
      }
    },

    /** Tags a queue that exists: an agent of version 0.1 created it without tags. @throws when the queue is gone. */
    async tag(QueueUrl: string, abortSignal: AbortSignal): Promise<void> {
      try {
        const command = new TagQueueCommand({ QueueUrl, Tags: await tags(abortSignal) });
        await aws.sqs.send(command, { abortSignal });
      } catch (error) {
        abortSignal.throwIfAborted();
        if (isNoSuchQueue(error)) throw error;
        untagged(error);
      }
    },
  };
}
