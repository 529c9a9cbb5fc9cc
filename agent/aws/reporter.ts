import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Aws } from '../../shared/aws.ts';
import type { Log } from '../../shared/log.ts';
import { isReplyQueueName, keys } from '../../shared/names.ts';
import type { Reporter } from '../deploy/ports.ts';
import { awsCall, orAborted } from './aws-call.ts';
import { createReplySender } from './reply-sender.ts';

export interface AgentReporter extends Reporter {
  /** Sends what the fast path still holds, for `timeoutMs` at most. */
  close(timeoutMs: number): Promise<void>;
}

/** Objects of the record whose last write is remembered. */
const REMEMBERED = 1000;

/** One object of the record: its writes happen one after the other, and never go back. */
interface ObjectWrites {
  /** The highest `n` that was tried. */
  newest: number;
  /** Resolves when the last write asked for is over, never rejects. */
  idle: Promise<void>;
}

/**
 * Reports to the record in S3 and to the reply queues.
 *
 * `accepted` and the ending of a deployment lie under the same key, so the caller delivers the oldest first. Within
 * this process an older one is left out once a newer one was tried: an answer that was lost may have been a write.
 */
export function createReporter({ aws, bucket, log }: { aws: Aws; bucket: string; log: Log }): AgentReporter {
  const replies = createReplySender({ aws, log });
  const objects = new Map<string, ObjectWrites>();

  function reply(env: string, replyTo: string | undefined, body: string, important: boolean): void {
    if (replyTo === undefined) return;
    // Checked at the door too. It is here that a wrong name would become a request.
    if (isReplyQueueName(env, replyTo)) replies.send(replyTo, body, { important });
    else log.warn({ replyTo }, 'not the name of a reply queue of this environment');
  }

  /** The place, now the most recently used. Old ones are forgotten. */
  function writesOf(key: string): ObjectWrites {
    const place = objects.get(key) ?? { newest: -1, idle: Promise.resolve() };
    objects.delete(key);
    objects.set(key, place);
    const oldest = objects.keys().next().value;
    if (objects.size > REMEMBERED && oldest !== undefined) objects.delete(oldest);
    return place;
  }

  async function put(Key: string, n: number, Body: string, signal: AbortSignal): Promise<void> {
    const place = writesOf(Key);
    const before = place.idle;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    place.idle = before.then(() => over);
    try {
      await orAborted(before, signal);
      if (n < place.newest) return;
      place.newest = n;
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
      const isReport = message.kind === 'report';
      reply(message.env, replyTo, JSON.stringify(message), !isReport);
    },

    async deliver(report, replyTo, signal) {
      signal.throwIfAborted();
      const body = JSON.stringify(report);
      reply(report.env, replyTo, body, true);
      const { env, service, deployment, instance } = report;
      await put(keys.report(env, service, deployment, instance), report.n, body, signal);
    },

    async putInstance(record, signal) {
      const key = keys.instance(record.env, record.service, record.instance);
      await put(key, 0, JSON.stringify(record), signal);
    },

    close: (timeoutMs) => replies.close(timeoutMs),
  };
}
