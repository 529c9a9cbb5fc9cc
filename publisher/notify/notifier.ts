import { setTimeout as wait } from 'node:timers/promises';
import { PublishCommand } from '@aws-sdk/client-sns';
import { awsErrorName } from '../../shared/aws.ts';
import type { PublisherEvent } from '../events.ts';
import type { Session } from '../session.ts';
import { type Notice, openNotices } from './notice.ts';
import { noticeText } from './notice-text.ts';
import { NotSent, postToWebhook, webhookAddress } from './webhook.ts';

/**
 * Tells people and programs what a command does: the environment's webhook and its events topic, beside the command
 * and never in its way. What cannot be told is given up after a few seconds and changes nothing.
 */
export interface Notifier {
  onEvent(event: PublisherEvent): void;
  /**
   * Sends what is still to be sent, for 3 s at most; `error` is what the command ended with.
   * @returns what could not be told, in one sentence; undefined where all was.
   */
  close(error?: unknown): Promise<string | undefined>;
}

/** For one message, its retry included, ms. */
const MESSAGE_MS = 3000;
/** For all that is under way when the command ends, ms. */
const FLUSH_MS = 3000;

interface Bounds {
  /** On performance.now(). */
  until: number;
  signal: AbortSignal;
}
type Send = (notice: Notice, bounds: Bounds) => Promise<void>;

export function openNotifier(
  session: Session,
  variables: Readonly<Record<string, string | undefined>>,
): Notifier {
  const { env } = session;
  const { webhook, events } = env.notify ?? {};
  const notices = openNotices(session);
  const over = new AbortController();
  let trouble: string | undefined;
  const failed = (whom: string, type: string, error: unknown) => {
    const why = error instanceof NotSent ? error.message : awsErrorName(error) || 'an error';
    trouble ??= `${whom} of ${env.name} was not told of "${type}": ${why}; the deployment is not touched by it`;
  };

  /** One after the other, so that they arrive in their order. */
  function lane(whom: string, send: Send) {
    let last = Promise.resolve();
    return {
      add(notice: Notice) {
        last = last.then(async () => {
          const until = performance.now() + MESSAGE_MS;
          const signal = AbortSignal.any([over.signal, AbortSignal.timeout(MESSAGE_MS)]);
          await send(notice, { until, signal }).catch((error) => {
            const late = signal.aborted && !(error instanceof NotSent);
            failed(whom, notice.type, late ? new NotSent('no answer in time') : error);
          });
        });
      },
      done: () => last,
    };
  }

  const lanes: ReturnType<typeof lane>[] = [];
  if (webhook !== undefined) {
    let address: Promise<string> | undefined;
    const post: Send = async (notice, bounds) => {
      address ??= webhookAddress(webhook, variables);
      await postToWebhook(await address, noticeText(notice), bounds);
    };
    lanes.push(lane('the webhook', post));
  }
  if (events !== undefined) lanes.push(lane('the events topic', publishTo(session, events)));

  function tell(notice: Notice | undefined): void {
    if (notice !== undefined) for (const one of lanes) one.add(notice);
  }

  return {
    onEvent(event) {
      try {
        tell(notices.of(event));
      } catch (error) {
        // Whatever is wrong with a notice is no reason to end a deployment.
        failed('the webhook', event.type, error);
      }
    },
    async close(error) {
      const why = error instanceof Error ? `its publisher ended: ${error.message}` : undefined;
      tell(notices.atTheEnd(why));
      if (lanes.length === 0) return undefined;
      const enough = new AbortController();
      const late = wait(FLUSH_MS, 'late', { signal: enough.signal }).catch(() => undefined);
      const all = Promise.all(lanes.map((one) => one.done()));
      if ((await Promise.race([all, late])) === 'late') {
        trouble ??= `not all of ${env.name} was told in time; the deployment is not touched by it`;
      }
      enough.abort();
      over.abort();
      return trouble;
    },
  };
}

function publishTo({ aws }: Session, topic: string): Send {
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
