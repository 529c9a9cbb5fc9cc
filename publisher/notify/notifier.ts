import { setTimeout as wait } from 'node:timers/promises';
import { PublishCommand } from '@aws-sdk/client-sns';
import { awsErrorName } from '../../shared/aws-errors.ts';
import type { PublisherEvent } from '../events.ts';
import type { Session } from '../session.ts';
import { type Notice, openNotices } from './notice.ts';
import { noticeText } from './notice-text.ts';
import { NotSent, postToWebhook, webhookAddress } from './webhook.ts';

/**
 * Sends notices about a command to the webhook and to the events topic of the environment, in the background. A notice
 * that cannot be sent within a few seconds is dropped. Sending delays the command only when it ends, and never makes it
 * fail.
 */
export interface Notifier {
  onEvent(event: PublisherEvent): void;
  /**
   * Waits up to 3 s for the notices that are not sent yet. `error` is what the command threw.
   * @returns a sentence about the first notice that was not sent; undefined when all were sent.
   */
  close(error?: unknown): Promise<string | undefined>;
}

/** The time limit of one message, its retry included, ms. */
const MESSAGE_MS = 3000;
/** The time limit of all pending messages when the command ends, ms. */
const FLUSH_MS = 3000;

interface Limits {
  /** When the time ends, in the ms of `performance.now()`. */
  until: number;
  signal: AbortSignal;
}
type Deliver = (notice: Notice, limits: Limits) => Promise<void>;

export function openNotifier(
  session: Session,
  variables: Readonly<Record<string, string | undefined>>,
): Notifier {
  const { env } = session;
  const { webhook, events } = env.notify ?? {};
  const notices = openNotices(session);
  const over = new AbortController();
  let trouble: string | undefined;
  const report = (whom: string, type: string, error: unknown) => {
    const why = error instanceof NotSent ? error.message : awsErrorName(error) || 'an error';
    trouble ??= `the "${type}" notification was not sent to ${whom} of ${env.name}: ${why}; the deployment is not affected`;
  };

  /** One receiver. It gets one notice after the other, so that they arrive in order. */
  function channel(whom: string, deliver: Deliver) {
    let last = Promise.resolve();
    return {
      add(notice: Notice) {
        last = last.then(async () => {
          const until = performance.now() + MESSAGE_MS;
          const signal = AbortSignal.any([over.signal, AbortSignal.timeout(MESSAGE_MS)]);
          await deliver(notice, { until, signal }).catch((error) => {
            const late = signal.aborted && !(error instanceof NotSent);
            report(whom, notice.type, late ? new NotSent('timed out') : error);
          });
        });
      },
      done: () => last,
    };
  }

  const channels: ReturnType<typeof channel>[] = [];
  if (webhook !== undefined) {
    let address: Promise<string> | undefined;
    const post: Deliver = async (notice, limits) => {
      address ??= webhookAddress(webhook, variables);
      await postToWebhook(await address, noticeText(notice), limits);
    };
    channels.push(channel('the webhook', post));
  }
  if (events !== undefined) channels.push(channel('the events topic', publishTo(session, events)));

  function send(notice: Notice | undefined): void {
    if (notice !== undefined) for (const one of channels) one.add(notice);
  }

  return {
    onEvent(event) {
      try {
        send(notices.of(event));
      } catch (error) {
        // A notice that cannot be built must not end a deployment.
        report('the webhook', event.type, error);
      }
    },
    async close(error) {
      const why = error instanceof Error ? `its publisher ended: ${error.message}` : undefined;
      send(notices.atEnd(why));
      if (channels.length === 0) return undefined;
      const flushed = new AbortController();
      const late = wait(FLUSH_MS, 'late', { signal: flushed.signal }).catch(() => undefined);
      const all = Promise.all(channels.map((one) => one.done()));
      if ((await Promise.race([all, late])) === 'late') {
        trouble ??= `not all notifications of ${env.name} were sent in time; the deployment is not affected`;
      }
      flushed.abort();
      over.abort();
      return trouble;
    },
  };
}

function publishTo({ aws }: Session, topic: string): Deliver {
  const attribute = (value: string) => ({ DataType: 'String', StringValue: value });
  return async (notice, { signal }) => {
    const about = { type: attribute(notice.type), env: attribute(notice.env) };
    const MessageAttributes =
      notice.service === undefined ? about : { ...about, service: attribute(notice.service) };
    const Message = JSON.stringify(notice);
    const command = new PublishCommand({ TopicArn: topic, Message, MessageAttributes });
    await aws.sns.send(command, { abortSignal: signal });
  };
}
