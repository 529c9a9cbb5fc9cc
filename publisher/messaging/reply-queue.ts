import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  type Message,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs';
import { awsError } from '../../shared/aws.ts';
import { newUlid, replyQueueName } from '../../shared/names.ts';
import { type Reply, type RollCallAnswer, reply } from '../../shared/report.ts';
import { backoffMs } from '../../shared/retry.ts';
import { note } from '../events.ts';
import type { Session } from '../session.ts';
import { announce, dates } from './announce.ts';

/** Receives under way at a time: a thousand agents answer at once. */
const RECEIVERS = 4;
/** A reply is of no use after its publisher has gone, s. */
const RETENTION_S = 3600;

/** The queue on which agents answer this publisher. Its owner must `close` it, whatever happened. */
export interface ReplyQueue {
  /** What an announcement carries as `replyTo`. */
  readonly name: string;
  /**
   * Hands over every reply that comes from the instance it names, until `signal` aborts; then resolves.
   * Trouble with the queue is noted and tried again: it is the fast path only, the record is the truth.
   */
  listen(take: (reply: Reply) => void, signal: AbortSignal): Promise<void>;
  /** Deletes the queue; what goes wrong is noted. */
  close(): Promise<void>;
}

/** @throws AWS_*. */
export async function openReplyQueue(session: Session): Promise<ReplyQueue> {
  const { sqs } = session.aws;
  const name = replyQueueName(session.env.name, newUlid(session.clock.now()));
  const QueueUrl = await createQueue(session, name);
  const warned = new Set<string>();
  const warn = (about: string, text: string) => {
    if (warned.has(about)) return;
    warned.add(about);
    note(session, text, 'warning');
  };

  async function receive(take: (reply: Reply) => void, signal: AbortSignal): Promise<void> {
    const command = new ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds: 20,
      MessageSystemAttributeNames: ['SenderId'],
    });
    const { Messages = [] } = await sqs.send(command, { abortSignal: signal });
    for (const message of Messages) {
      const read = readReply(message);
      if ('reply' in read) take(read.reply);
      else warn(read.sender, read.refused);
    }
    if (Messages.length > 0) await forget(Messages);
  }

  async function forget(messages: readonly Message[]): Promise<void> {
    const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
  }

  async function receiveOn(take: (reply: Reply) => void, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted; ) {
      try {
        await receive(take, signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        const { message } = awsError(error, `receive replies from ${name}`);
        warn('queue', `${message}; following by the record alone until it works again`);
        const pause = backoffMs(failures, { first: 500, longest: 10_000 });
        failures += 1;
        await session.clock.sleep(pause, signal).catch(() => undefined);
      }
    }
  }

  return {
    name,
    async listen(take, signal) {
      await Promise.all(Array.from({ length: RECEIVERS }, () => receiveOn(take, signal)));
    },
    async close() {
      try {
        await sqs.send(new DeleteQueueCommand({ QueueUrl }));
      } catch (error) {
        const { message } = awsError(error, `delete the reply queue ${name}`);
        warn('delete', `${message}; delete it by hand`);
      }
    },
  };
}

async function createQueue(session: Session, name: string): Promise<string> {
  try {
    const Attributes = { MessageRetentionPeriod: String(RETENTION_S), SqsManagedSseEnabled: 'true' };
    const { QueueUrl } = await session.aws.sqs.send(new CreateQueueCommand({ QueueName: name, Attributes }));
    if (QueueUrl === undefined) throw new Error('SQS named no URL');
    return QueueUrl;
  } catch (error) {
    throw awsError(error, `create the reply queue ${name}`);
  }
}

/**
 * The reply in a message, if it is one and its sender is the instance it names. EC2 names the role session
 * after the instance, and SQS tells the sender as `AROA…:SESSION`: an instance cannot speak for another.
 */
export function readReply(message: Message): { reply: Reply } | { sender: string; refused: string } {
  const sender = message.Attributes?.SenderId ?? 'unknown';
  const colon = sender.lastIndexOf(':');
  const session = colon === -1 ? undefined : sender.slice(colon + 1);
  let json: unknown;
  try {
    json = JSON.parse(message.Body ?? '');
  } catch {
    return { sender, refused: `a reply of ${printable(sender)} is not JSON and is dropped` };
  }
  const parsed = reply.safeParse(json);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') || '(top)';
    return { sender, refused: `a reply of ${printable(sender)} does not fit at ${where} and is dropped` };
  }
  if (parsed.data.instance !== session) {
    return {
      sender,
      refused: `a reply in the name of ${parsed.data.instance} came from ${printable(sender)} and is dropped`,
    };
  }
  return { reply: parsed.data };
}

const printable = (text: string) => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 128);

export interface RollCall {
  /** Only about this service; about all when left out. */
  service?: string | undefined;
  /** The instances that should answer. */
  known: readonly string[];
  waitMs: number;
}

/**
 * Asks who is there, and gathers the answers until all of `known` have answered or `waitMs` have passed.
 * With nobody known it waits to the end.
 */
export async function rollCall(session: Session, asked: RollCall): Promise<RollCallAnswer[]> {
  const queue = await openReplyQueue(session);
  try {
    return await gather(session, queue, asked);
  } finally {
    await queue.close();
  }
}

async function gather(session: Session, queue: ReplyQueue, asked: RollCall): Promise<RollCallAnswer[]> {
  const id = newUlid(session.clock.now());
  const answers = new Map<string, RollCallAnswer>();
  const missing = new Set(asked.known);
  const complete = new AbortController();
  const signal = AbortSignal.any([complete.signal, session.signal]);
  const listening = queue.listen((said) => {
    if (said.kind !== 'roll-call' || said.rollCall !== id || said.env !== session.env.name) return;
    answers.set(said.instance, said);
    missing.delete(said.instance);
    if (missing.size === 0 && asked.known.length > 0) complete.abort();
  }, signal);
  try {
    const service = asked.service === undefined ? {} : { service: asked.service };
    const life = dates(session, Math.max(asked.waitMs, 60_000));
    await announce(session, { kind: 'roll-call', deployment: id, replyTo: queue.name, ...service }, life);
    await session.clock.sleep(asked.waitMs, signal).catch(() => undefined);
  } finally {
    complete.abort();
    await listening;
  }
  session.signal.throwIfAborted();
  return [...answers.values()];
}
