import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  ListMultipartUploadsCommand,
} from '@aws-sdk/client-s3';
import { ListSubscriptionsByTopicCommand, UnsubscribeCommand } from '@aws-sdk/client-sns';
import {
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  ListQueueTagsCommand,
} from '@aws-sdk/client-sqs';
import { awsError, awsErrorName, awsStatus, isPassing } from '../../shared/aws-errors.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { retry } from '../../shared/retry.ts';
import type { Session } from '../session.ts';
import { createPace, type Pace } from './pace.ts';

/**
 * The calls of `gc` to AWS: paced, repeated while AWS is busy, and with the permission that each needs. What is gone
 * already counts as deleted, so two of them may run at a time, and one may be repeated.
 */

/**
 * Amazon SNS endpoints and quotas: 30 ListSubscriptionsByTopic and 100 Unsubscribe a second for an account and region. The
 * agents take some of both.
 */
const SNS_LISTS = 10;
const SNS_CHANGES = 25;
/** SQS has no quota of its own for these; SQS throttles them all the same. */
const SQS_CALLS = 50;
const RETRY = { attempts: 8, first: 500, longest: 20_000 };
/** The most pages that are read of one list. */
const MOST_PAGES = 2000;

export interface QueueFacts {
  createdAt: number; // ms since the epoch
  tags: Readonly<Record<string, string>>;
}

interface Upload {
  key: string;
  id: string;
  startedAt: number; // ms since the epoch
}

export function openCleaner(session: Session) {
  const { aws, clock, env, signal } = session;
  const [lists, changes, queues] = [SNS_LISTS, SNS_CHANGES, SQS_CALLS].map((rate) => createPace(clock, rate));
  const bucket = env.bucket;

  async function call<T>(
    { doing, needs, pace }: { doing: string; needs: string; pace?: Pace | undefined },
    work: () => Promise<T>,
  ): Promise<T> {
    try {
      return await retry(
        async () => {
          await pace?.(signal);
          return await work();
        },
        { ...RETRY, clock, signal, retryable: isPassing },
      );
    } catch (error) {
      signal.throwIfAborted();
      const { code, message, hint } = awsError(error, doing);
      const permission = code === 'AWS_DENIED' ? `; it needs ${needs}` : '';
      throw new TriggerDeployError(code, message + permission, { cause: error, hint });
    }
  }

  async function* pages<T extends { NextToken?: string | undefined }>(
    about: Parameters<typeof call>[0],
    page: (NextToken: string | undefined) => Promise<T>,
  ): AsyncGenerator<T> {
    let token: string | undefined;
    for (let count = 0; count < MOST_PAGES; count += 1) {
      const answer = await call(about, () => page(token));
      yield answer;
      token = answer.NextToken || undefined;
      if (token === undefined) return;
    }
  }

  return {
    /** The names and URLs of the queues that begin with `prefix`. SQS lists 1,000 a page. */
    async listQueues(prefix: string): Promise<Map<string, string>> {
      const found = new Map<string, string>();
      const about = { doing: `list the queues ${prefix}*`, needs: 'sqs:ListQueues', pace: queues };
      const page = (NextToken: string | undefined) =>
        aws.sqs.send(new ListQueuesCommand({ QueueNamePrefix: prefix, MaxResults: 1000, NextToken }));
      for await (const { QueueUrls = [] } of pages(about, page)) {
        for (const url of QueueUrls) found.set(url.slice(url.lastIndexOf('/') + 1), url);
      }
      return found;
    },

    /** The subscriptions of the topic by the ARNs of their queues; those that are not confirmed have no ARN and are left out. */
    async listSubscriptions(TopicArn: string): Promise<Map<string, string>> {
      const found = new Map<string, string>();
      const about = {
        doing: `list the subscriptions of ${TopicArn}`,
        needs: 'sns:ListSubscriptionsByTopic',
        pace: lists,
      };
      const page = (NextToken: string | undefined) =>
        aws.sns.send(new ListSubscriptionsByTopicCommand({ TopicArn, NextToken }));
      for await (const { Subscriptions = [] } of pages(about, page)) {
        for (const { Endpoint, Protocol, SubscriptionArn } of Subscriptions) {
          if (Protocol === 'sqs' && Endpoint && SubscriptionArn?.startsWith('arn:'))
            found.set(Endpoint, SubscriptionArn);
        }
      }
      return found;
    },

    /** When the queue was made, and its tags; undefined when it is gone. */
    async queueFacts(QueueUrl: string): Promise<QueueFacts | undefined> {
      const about = (needs: string) => ({ doing: `look at ${QueueUrl}`, needs, pace: queues });
      try {
        const [{ Attributes }, { Tags = {} }] = await Promise.all([
          call(about('sqs:GetQueueAttributes'), () =>
            aws.sqs.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['CreatedTimestamp'] })),
          ),
          call(about('sqs:ListQueueTags'), () => aws.sqs.send(new ListQueueTagsCommand({ QueueUrl }))),
        ]);
        return { createdAt: Number(Attributes?.CreatedTimestamp ?? Number.NaN) * 1000, tags: Tags };
      } catch (error) {
        if (isNoQueue(error)) return undefined;
        throw error;
      }
    },

    async hasQueue(QueueName: string): Promise<boolean> {
      try {
        await call({ doing: `look for the queue ${QueueName}`, needs: 'sqs:GetQueueUrl', pace: queues }, () =>
          aws.sqs.send(new GetQueueUrlCommand({ QueueName })),
        );
        return true;
      } catch (error) {
        if (isNoQueue(error)) return false;
        throw error;
      }
    },

    async deleteQueue(QueueUrl: string): Promise<void> {
      try {
        await call({ doing: `delete ${QueueUrl}`, needs: 'sqs:DeleteQueue', pace: queues }, () =>
          aws.sqs.send(new DeleteQueueCommand({ QueueUrl })),
        );
      } catch (error) {
        if (!isNoQueue(error)) throw error;
      }
    },

    async unsubscribe(SubscriptionArn: string): Promise<void> {
      try {
        await call({ doing: `delete ${SubscriptionArn}`, needs: 'sns:Unsubscribe', pace: changes }, () =>
          aws.sns.send(new UnsubscribeCommand({ SubscriptionArn })),
        );
      } catch (error) {
        if (!isNamed(error, /^NotFound(Exception)?$/)) throw error;
      }
    },

    /**
     * Deletes an object, with `etag` only if it has not changed since; returns false if it has. In a bucket with
     * versioning this is a delete marker (S3 User Guide, "How to perform conditional deletes").
     */
    async deleteObject(Key: string, etag?: string): Promise<boolean> {
      try {
        await call({ doing: `delete s3://${bucket}/${Key}`, needs: 's3:DeleteObject' }, () =>
          aws.s3.send(new DeleteObjectCommand({ Bucket: bucket, Key, ...(etag && { IfMatch: etag }) })),
        );
        return true;
      } catch (error) {
        const status = awsStatus((error as Error).cause);
        if (status === 404) return true;
        if (status === 412 || status === 409) return false;
        throw error;
      }
    },

    /** The uploads below `prefix` that were begun and not completed. */
    async listUploads(Prefix: string): Promise<Upload[]> {
      const found: Upload[] = [];
      const about = { doing: `list the uploads of s3://${bucket}`, needs: 's3:ListBucketMultipartUploads' };
      let from: { KeyMarker?: string | undefined; UploadIdMarker?: string | undefined } = {};
      for (let count = 0; count < MOST_PAGES; count += 1) {
        const answer = await call(about, () =>
          aws.s3.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix, ...from })),
        );
        for (const { Key, UploadId, Initiated } of answer.Uploads ?? []) {
          if (Key && UploadId && Initiated)
            found.push({ key: Key, id: UploadId, startedAt: Initiated.getTime() });
        }
        if (!answer.IsTruncated) break;
        from = { KeyMarker: answer.NextKeyMarker, UploadIdMarker: answer.NextUploadIdMarker };
      }
      return found;
    },

    async abortUpload({ key: Key, id: UploadId }: Pick<Upload, 'key' | 'id'>): Promise<void> {
      try {
        await call({ doing: `end the upload of ${Key}`, needs: 's3:AbortMultipartUpload' }, () =>
          aws.s3.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId })),
        );
      } catch (error) {
        if (!isNamed(error, /^NoSuchUpload$/)) throw error;
      }
    },
  };
}

export type Cleaner = ReturnType<typeof openCleaner>;

const isNamed = (error: unknown, name: RegExp) => name.test(awsErrorName((error as Error).cause));
const isNoQueue = (error: unknown) =>
  isNamed(error, /^(QueueDoesNotExist|AWS\.SimpleQueueService\.NonExistentQueue)$/);
