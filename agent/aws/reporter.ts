import { PutObjectCommand } from '@aws-sdk/client-s3';
import { orAborted } from '../../shared/abort.ts';
import type { Aws } from '../../shared/aws.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Log } from '../../shared/log.ts';
import { isReplyQueueName, keys } from '../../shared/names.ts';
import { isEnding } from '../../shared/states.ts';
import type { Reporter } from '../deploy/ports.ts';
import { awsCall } from './aws-call.ts';
import { createReplySender } from './reply-sender.ts';

export interface AgentReporter extends Reporter {
  /** Sends waiting replies for at most `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}

/** For how many objects of the record the last write is remembered. */
const REMEMBERED = 1000;

/** The writes to one object of the record. They run one after another; an older report never overwrites a newer one. */
interface ObjectWrites {
  /** The highest report number `n` for which a write was attempted. */
  newest: number;
  /** Resolves when the last requested write has ended; never rejects. */
  idle: Promise<void>;
}

/**
 * Sends reports to the record in S3 and to the reply queues.
 *
 * All reports of this instance on a deployment have the same key, so the caller delivers the oldest first. After a
 * write of a newer report was attempted, an older one is skipped: a write without an answer may have succeeded.
 */
export function createReporter({
  aws,
  bucket,
  clock,
  log,
  userId,
}: {
  aws: Aws;
  bucket: string;
  clock: Pick<Clock, 'monotonic' | 'sleep'>;
  log: Log;
  /** The `aws:userid` of this instance. */
  userId: (signal: AbortSignal) => Promise<string>;
}): AgentReporter {
  const replies = createReplySender({ aws, clock, log });
  const objects = new Map<string, ObjectWrites>();

  function reply(env: string, replyTo: string | undefined, body: string, important: boolean): void {
    if (replyTo === undefined) return;
    // The receiver has checked the name, too. Here, a wrong name would become a request to AWS.
    if (isReplyQueueName(env, replyTo)) replies.send(replyTo, body, { important });
    else log.warn({ replyTo }, 'not the name of a reply queue of this environment');
  }

  /** Returns the writes of an object. Forgets the object that was used longest ago, if there are too many. */
  function writesOf(key: string): ObjectWrites {
    const writes = objects.get(key) ?? { newest: -1, idle: Promise.resolve() };
    objects.delete(key);
    objects.set(key, writes);
    const oldest = objects.keys().next().value;
    if (objects.size > REMEMBERED && oldest !== undefined) objects.delete(oldest);
    return writes;
  }

  async function put(Key: string, n: number, Body: string, signal: AbortSignal): Promise<void> {
    const writes = writesOf(Key);
    const before = writes.idle;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    writes.idle = before.then(() => ended);
    try {
      await orAborted(before, signal);
      if (n < writes.newest) return;
      writes.newest = n;
      const command = new PutObjectCommand({ Bucket: bucket, Key, Body, ContentType: 'application/json' });
      await awsCall(`write s3://${bucket}/${Key}`, signal, () =>
        aws.s3.send(command, { abortSignal: signal }),
      );
    } finally {
      resolve();
    }
  }

  return {
    progress(message, replyTo) {
      const isImportant = message.kind !== 'report' || isEnding(message.state);
      reply(message.env, replyTo, JSON.stringify(message), isImportant);
    },

    async deliver(report, replyTo, signal) {
      signal.throwIfAborted();
      const body = JSON.stringify(report);
      reply(report.env, replyTo, body, true);
      const { env, service, deployment } = report;
      await put(keys.report(env, service, deployment, await userId(signal)), report.n, body, signal);
    },

    async putInstance(record, signal) {
      const key = keys.instance(record.env, record.service, await userId(signal));
      await put(key, 0, JSON.stringify(record), signal);
    },

    close: (timeoutMs) => replies.close(timeoutMs),
  };
}
