import { createHash } from 'node:crypto';
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteQueueCommand,
  type Message,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs';
import { awsError } from '../../shared/aws-errors.ts';
import { parseBoundedJson } from '../../shared/bounded-json.ts';
import { isCode } from '../../shared/errors.ts';
import { newUlid, replyQueueName } from '../../shared/names.ts';
import { ownTags } from '../../shared/queue-tags.ts';
import { type Reply, reply } from '../../shared/report.ts';
import { retry } from '../../shared/retry.ts';
import { maySpeakFor, type Sessions } from '../../shared/role-session.ts';
import { note } from '../events.ts';
import type { Session } from '../session.ts';

/** How many receives run at a time while many replies wait: a thousand agents answer at once. */
const RECEIVERS = 4;
/** A receive that returns so many replies shows that more wait. SQS seldom fills all 10 places of an answer. */
const MANY = 5;
/** How long SQS keeps a reply, seconds. No publisher needs a reply after that. */
const RETENTION_S = 3600;
/**
 * From so many replies on, each is deleted once it was received. Up to then none is: the queue hides each for as long as
 * it keeps it, and is itself deleted at the end. SQS Developer Guide, "Amazon SQS message quotas": a queue gives out no
 * more messages when 120,000 were received and not deleted.
 */
const KEPT = 50_000;
/** The pauses while the queue cannot be read, ms. */
const RETRY = { first: 500, longest: 10_000 };

/** Takes a reply, and the ETag that S3 gives to an object of the same text; undefined if it cannot be computed here. */
type Take = (reply: Reply, etag: string | undefined) => void;

/** The queue on which agents answer this publisher. Its owner must `close` it. */
export interface ReplyQueue {
  /** What an announcement carries as `replyTo`. */
  readonly name: string;
  /**
   * Passes replies to `take` until `signal` aborts, then resolves. A reply whose sender is not the instance that it
   * names is dropped. A failing receive is retried, with one warning: agents also write `accepted` and the ending of
   * each deployment to the record. So a reply that was received, but did not arrive here, is not sent again.
   */
  listen(take: Take, signal: AbortSignal): Promise<void>;
  /** Deletes the queue, once; a failure is a warning. Never throws. */
  close(): Promise<void>;
}

/**
 * Creates a reply queue for this publisher. Under a lock its name comes from the lock: if this publisher dies, the one
 * that takes the lock over knows the queue, and deletes it. A failure of that deletion is ignored. `service` is for the
 * queue's tags. @throws AWS_*.
 */
export async function openReplyQueue(
  session: Session,
  lock?: { replyId(): string; deadReplyIds: readonly string[] },
  { service, keep = KEPT }: { service?: string | undefined; keep?: number | undefined } = {},
): Promise<ReplyQueue> {
  const { sqs } = session.aws;
  const env = session.env.name;
  const name = replyQueueName(env, lock?.replyId() ?? newUlid(session.clock.now()));
  const QueueUrl = await createQueue(session, name, service);
  const deleting = (lock?.deadReplyIds ?? []).map(async (id) => {
    const dead = beside(QueueUrl, name, replyQueueName(env, id));
    await sqs.send(new DeleteQueueCommand({ QueueUrl: dead })).catch(() => undefined);
  });
  let closing: Promise<void> | undefined;
  const warned = new Set<string>();
  const warn = (about: string, text: string) => {
    if (warned.has(about)) return;
    warned.add(about);
    note(session, text, 'warning');
  };

  let received = 0;

  /** Receives once. Returns how many replies came. */
  async function receive(take: Take, signal: AbortSignal, WaitTimeSeconds: number): Promise<number> {
    const command = new ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: 10,
      WaitTimeSeconds,
      MessageSystemAttributeNames: ['SenderId'],
    });
    const { Messages = [] } = await sqs.send(command, { abortSignal: signal });
    for (const message of Messages) {
      const read = readReply(message, session.env.sessions);
      if ('reply' in read) take(read.reply, etagOf(message.Body ?? ''));
      else warn(read.sender, read.refused);
    }
    received += Messages.length;
    if (Messages.length > 0 && received > keep) await forget(Messages);
    return Messages.length;
  }

  async function forget(messages: readonly Message[]): Promise<void> {
    const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
    await sqs.send(new DeleteMessageBatchCommand({ QueueUrl, Entries }));
  }

  /** Receives until `signal` aborts; a helper only while many replies wait. Calls `onMany` when many have come. */
  async function receiveOn(take: Take, signal: AbortSignal, onMany: () => void, isHelper = false) {
    let came = MANY;
    const receiveOnce = async () => {
      came = await receive(take, signal, isHelper ? 1 : 20);
    };
    while (!signal.aborted && !(isHelper && came < MANY)) {
      await retry(receiveOnce, {
        ...RETRY,
        clock: session.clock,
        signal,
        retryable: () => true,
        onRetry(error) {
          const { message } = awsError(error, `receive replies from ${name}`);
          warn('queue', `${message}; reading reports from the record until it works again`);
        },
      }).catch((error: unknown) => {
        if (!signal.aborted) throw error;
      });
      if (came >= MANY) onMany();
    }
  }

  return {
    name,
    async listen(take, signal) {
      const helpers = new Set<Promise<void>>();
      const help = () => {
        if (helpers.size >= RECEIVERS - 1) return;
        const helper = receiveOn(take, signal, help, true).finally(() => helpers.delete(helper));
        helpers.add(helper);
      };
      await receiveOn(take, signal, help);
      await Promise.all(helpers);
    },
    close() {
      closing ??= deleteAll();
      return closing;
    },
  };

  async function deleteAll(): Promise<void> {
    await Promise.all(deleting);
    try {
      await sqs.send(new DeleteQueueCommand({ QueueUrl }));
    } catch (error) {
      const { message } = awsError(error, `delete the reply queue ${name}`);
      warn('delete', `${message}; delete the queue by hand`);
    }
  }
}

/**
 * S3 API Reference, "Object": the ETag of an object that was put in one piece, and is not encrypted with a key of KMS, is
 * the MD5 of its content. Where it is something else, no object has this ETag.
 */
function etagOf(text: string): string | undefined {
  try {
    return `"${createHash('md5').update(text).digest('hex')}"`;
  } catch {
    // A machine in FIPS mode has no MD5.
    return undefined;
  }
}

/** The URL of another queue of the same account and region. */
const beside = (url: string, name: string, other: string) => url.slice(0, url.length - name.length) + other;

/** Creates the queue, with tags where the config has `queueTags`. A role that may not tag gets it without. */
async function createQueue(session: Session, name: string, service: string | undefined): Promise<string> {
  const create = async (more: { tags?: Record<string, string> }) => {
    const Attributes = {
      MessageRetentionPeriod: String(RETENTION_S),
      VisibilityTimeout: String(RETENTION_S),
      SqsManagedSseEnabled: 'true',
    };
    const command = new CreateQueueCommand({ QueueName: name, Attributes, ...more });
    const { QueueUrl } = await session.aws.sqs.send(command);
    if (QueueUrl === undefined) throw new Error('SQS returned no queue URL');
    return QueueUrl;
  };
  const doing = `create the reply queue ${name}`;
  const { name: env, queueTags } = session.env;
  if (queueTags !== undefined) {
    const services = service === undefined ? [] : [service];
    try {
      return await create({ tags: { ...queueTags, ...ownTags({ env, services }) } });
    } catch (error) {
      const failure = awsError(error, doing);
      if (!isCode(failure, 'AWS_DENIED')) throw failure;
      // Without the right to create queues at all, the next try is refused, too.
      note(session, 'the reply queue has no tags: queueTags needs the right sqs:TagQueue', 'warning');
    }
  }
  try {
    return await create({});
  } catch (error) {
    throw awsError(error, doing);
  }
}

/**
 * Parses a message; `refused` says why it is dropped. The instance that a reply names must be its sender: SQS gives the
 * sender as `AROA…:SESSION`, and EC2 names the role session after the instance, so no instance can reply for another.
 * `sessions` names the sessions of the others. An answer to a roll call speaks for its sender only.
 */
export function readReply(
  message: Message,
  sessions: Sessions = {},
): { reply: Reply } | { sender: string; refused: string } {
  const sender = message.Attributes?.SenderId ?? 'unknown';
  let json: unknown;
  try {
    json = parseBoundedJson(message.Body ?? '');
  } catch {
    return { sender, refused: `dropped a reply from ${printable(sender)}: it is not JSON` };
  }
  const parsed = reply.safeParse(json);
  if (!parsed.success) {
    const where = parsed.error.issues[0]?.path.join('.') || '(top)';
    return { sender, refused: `dropped a reply from ${printable(sender)}: ${where} is not valid` };
  }
  const { data } = parsed;
  if (!maySpeakFor(sender, data.instance, sessions)) {
    const hint = `if that is its role session, name it: sessions: { ${data.instance}: NAME } under the environment`;
    return {
      sender,
      refused: `dropped a reply in the name of ${data.instance}: its sender is ${printable(sender)}; ${hint}`,
    };
  }
  const isOwn = (one: { instance: string; env: string }) =>
    one.instance === data.instance && one.env === data.env;
  if (data.kind === 'roll-call' && !data.services.every(isOwn)) {
    return { sender, refused: `dropped the answer of ${data.instance}: it speaks for other instances, too` };
  }
  // Answers are counted: an instance has one voice about each service.
  if (data.kind === 'roll-call' && new Set(data.services.map(nameOf)).size < data.services.length) {
    return { sender, refused: `dropped the answer of ${data.instance}: it names a service twice` };
  }
  return { reply: data };
}

const nameOf = ({ service }: { service: string }) => service;
const printable = (text: string) => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 128);
