import { GetQueueUrlCommand, SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { NEVER, orAborted } from '../../shared/abort.ts';
import type { Aws } from '../../shared/aws.ts';
import type { Clock } from '../../shared/clock.ts';
import { messageOf } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { ulidTime } from '../../shared/names.ts';
import { deadline, retry } from '../../shared/retry.ts';
import { createWakeUp } from '../../shared/wake-up.ts';
import { isNoSuchQueue } from './aws-call.ts';

/**
 * Sends replies to the publishers' reply queues: in order, in the background, best effort. An important reply is sent at
 * once, with all that wait before it. The others wait until `PROGRESS_EVERY` after the last request to their queue, and
 * then go together.
 */
export interface ReplySender {
  /**
   * Never waits, never throws. When too many replies wait, the oldest unimportant one is dropped, or the oldest if all
   * are important.
   * `replyTo` is the queue's name, in this account.
   */
  send(replyTo: string, body: string, options?: { important: boolean }): void;
  /** Sends the waiting replies for at most `timeoutMs`, and accepts no new ones. */
  close(timeoutMs: number): Promise<void>;
}

interface Reply {
  replyTo: string;
  body: string;
  important: boolean;
}

/** The shortest time between two requests that carry mere progress to the same queue, ms. */
const PROGRESS_EVERY = 500;
/** How many replies may wait, for all reply queues together. */
const WAITING_LIMIT = 500;
/** SQS API Reference, SendMessageBatch: 10 entries; their sum stays below the oldest limit, 256 KiB. */
const BATCH = { entries: 10, bytes: 250 * 1024 };
/** The timeout of one attempt, ms. A report of progress is of no use later. */
const TRY_MS = 10_000;
const TRIES = { attempts: 4, first: 500, longest: 1000 };
/**
 * A queue that was created less than this time ago, ms, may not be visible yet. The SQS API Reference (CreateQueue)
 * says one second; the rest is for clocks that differ.
 */
const QUEUE_VISIBLE_AFTER_MS = 10_000;
/** How many reply queues each cache holds. An entry never becomes wrong, because a name is never used again. */
const REMEMBERED = 1000;

export function createReplySender({
  aws,
  clock,
  log,
}: {
  aws: Aws;
  clock: Pick<Clock, 'monotonic' | 'sleep'>;
  log: Log;
}): ReplySender {
  let waiting: Reply[] = [];
  /** When the last request to each queue began, on the monotonic clock, ms. */
  const sentAt = new Map<string, number>();
  const news = createWakeUp();
  const urls = new Map<string, string>();
  const gone = new Map<string, true>();
  const closing = new AbortController();
  let closed = false;
  let working: Promise<void> | undefined;

  function makeRoom(): void {
    if (waiting.length < WAITING_LIMIT) return;
    const oldest = waiting.findIndex((reply) => !reply.important);
    waiting.splice(Math.max(oldest, 0), 1);
  }

  /** When the reply is to be sent, on the monotonic clock, ms. */
  function dueAt({ replyTo, important }: Reply): number {
    return important || closed ? 0 : (sentAt.get(replyTo) ?? -PROGRESS_EVERY) + PROGRESS_EVERY;
  }

  /** Takes the oldest replies for the queue `replyTo`, as many as fit into one request. */
  function takeBatch(replyTo: string): Reply[] {
    const batch: Reply[] = [];
    let bytes = 0;
    for (const reply of waiting) {
      if (reply.replyTo !== replyTo) continue;
      bytes += Buffer.byteLength(reply.body);
      if (batch.length === BATCH.entries || (batch.length > 0 && bytes > BATCH.bytes)) break;
      batch.push(reply);
    }
    waiting = waiting.filter((reply) => !batch.includes(reply));
    return batch;
  }

  async function urlOf(replyTo: string, abortSignal: AbortSignal): Promise<string> {
    const known = urls.get(replyTo);
    if (known !== undefined) return known;
    const command = new GetQueueUrlCommand({ QueueName: replyTo });
    const { QueueUrl = '' } = await aws.sqs.send(command, { abortSignal });
    rememberBounded(urls, replyTo, QueueUrl);
    return QueueUrl;
  }

  /** Sends a batch. Returns the replies that SQS rejected but may accept later. */
  async function trySending(replyTo: string, batch: Reply[]): Promise<Reply[]> {
    using limit = deadline(TRY_MS, closing.signal, 'sending a reply');
    const Entries = batch.map(({ body }, index) => ({ Id: String(index), MessageBody: body }));
    const command = { QueueUrl: await urlOf(replyTo, limit.signal), Entries };
    const answer = await aws.sqs.send(new SendMessageBatchCommand(command), { abortSignal: limit.signal });
    if (answer.Failed?.length) log.warn({ replyTo, failed: answer.Failed }, 'SQS rejected some replies');
    return (answer.Failed ?? []).flatMap(({ Id, SenderFault }) =>
      SenderFault ? [] : (batch[Number(Id)] ?? []),
    );
  }

  function forget(replyTo: string): void {
    log.debug({ replyTo }, 'the reply queue is gone; no more replies are sent there');
    rememberBounded(gone, replyTo, true);
    waiting = waiting.filter((reply) => reply.replyTo !== replyTo);
  }

  async function sendBatch(replyTo: string, batch: Reply[]): Promise<void> {
    let left = batch;
    const sendLeft = async () => {
      left = await trySending(replyTo, left);
      if (left.length > 0) throw new Error('SQS rejected some replies');
    };
    const isGone = (error: unknown) =>
      isNoSuchQueue(error) && aws.now() - createdAt(replyTo) > QUEUE_VISIBLE_AFTER_MS;
    try {
      await retry(sendLeft, { ...TRIES, signal: closing.signal, retryable: (error) => !isGone(error) });
    } catch (error) {
      if (isNoSuchQueue(error)) forget(replyTo);
      else log.warn({ replyTo, lost: left.length, why: messageOf(error) }, 'replies could not be sent');
    }
  }

  async function work(): Promise<void> {
    // Wait for the other replies of this turn of the event loop: they go into the same request.
    await Promise.resolve();
    while (waiting.length > 0 && !closing.signal.aborted) {
      const due = waiting.find((reply) => dueAt(reply) <= clock.monotonic());
      if (due) {
        rememberBounded(sentAt, due.replyTo, clock.monotonic());
        await sendBatch(due.replyTo, takeBatch(due.replyTo));
      } else {
        const ms = Math.min(...waiting.map(dueAt)) - clock.monotonic();
        await news.wait(closing.signal, { clock, ms });
      }
    }
    working = undefined;
  }

  return {
    send(replyTo, body, { important } = { important: false }) {
      if (closed || gone.has(replyTo)) return;
      // The outbox sends a report again at each retry; one waiting copy is enough.
      if (waiting.some((reply) => reply.replyTo === replyTo && reply.body === body)) return;
      makeRoom();
      waiting.push({ replyTo, body, important });
      if (important) news.wake();
      working ??= work();
    },

    async close(timeoutMs) {
      closed = true;
      news.wake();
      using limit = deadline(timeoutMs, NEVER, 'sending the last replies');
      await orAborted(working ?? Promise.resolve(), limit.signal).catch(() => undefined);
      closing.abort();
    },
  };
}

/** When the publisher created the queue, ms since the epoch. The time is in the ULID at the end of the name. */
function createdAt(replyTo: string): number {
  return ulidTime(replyTo.slice(-26));
}

function rememberBounded<T>(memory: Map<string, T>, name: string, value: T): void {
  memory.delete(name);
  memory.set(name, value);
  const oldest = memory.keys().next().value;
  if (memory.size > REMEMBERED && oldest !== undefined) memory.delete(oldest);
}
