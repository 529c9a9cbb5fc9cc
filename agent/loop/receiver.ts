import { NEVER } from '../../shared/abort.ts';
import { type Announcement, announcement as announcementSchema } from '../../shared/announcement.ts';
import type { Clock } from '../../shared/clock.ts';
import { type ErrorCode, isCode, messageOf, TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { deadline } from '../../shared/retry.ts';
import type { Verifier } from '../../shared/signing.ts';
import type { DesiredReader } from '../deploy/converge.ts';
import type { Identity, Reporter } from '../deploy/ports.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import { admit, type Decision } from './admit.ts';
import { convergeAll } from './converge-all.ts';
import type { Inbox, Message } from './ports.ts';
import { repeat } from './repeat.ts';

/** Takes announcements: receive, verify, admit, journal, delete. The workers deploy and report. */

export interface ReceiverParts {
  identity: Identity;
  workers: ReadonlyMap<string, ServiceWorker>;
  inbox: Inbox;
  isQueueGone: (error: unknown) => boolean;
  verifier: Verifier;
  desired: DesiredReader;
  reporter: Reporter;
  clock: Clock;
  log: Log;
  /** Called for each announcement that is refused before it belongs to a service. */
  onRefused?: ((code: ErrorCode) => void) | undefined;
}

export interface Receiver {
  /** Receives until `stopping` aborts. */
  run(stopping: AbortSignal): Promise<void>;
  /** When the receiver last made progress, on the monotonic clock, ms. */
  lastRound(): number;
  /** Renews the subscription at the next round: an announcement was missed. */
  renew(): void;
}

/** ms */
const RESUBSCRIBE_EVERY = 20 * 60 * 1000;
const RESUBSCRIBE_AGAIN_AFTER = 60 * 1000;
const DELETE_WITHIN = 10 * 1000;
const CONVERGE_WITHIN = 30 * 1000;
const RECORD_WITHIN = 5 * 1000;
/** A queue that gave no answer for this long, by AWS's clock, may have lost messages. A poll takes 20 s. */
const AWAY_AFTER = 2 * 60 * 1000;

export function createReceiver(parts: ReceiverParts): Receiver {
  const { identity, workers, inbox, isQueueGone, verifier, desired, reporter, clock, log } = parts;
  let lastRound = clock.monotonic();
  let refused = 0;
  let catchingUp = Promise.resolve();
  /** When to renew the subscription, on the monotonic clock, ms; undefined if the queue has to be set up. */
  let resubscribeAt: number | undefined;

  /** Renews the subscription; returns whether it succeeded. A failure does not delay the messages in the queue. */
  async function resubscribe(signal: AbortSignal): Promise<boolean> {
    let hasLost: boolean;
    try {
      hasLost = await inbox.resubscribe(signal);
    } catch (error) {
      signal.throwIfAborted();
      log.warn({ err: error }, `cannot renew the subscription: ${messageOf(error)}`);
      return false;
    }
    if (hasLost) catchUp(signal);
    return true;
  }

  /**
   * Converges on the desired states, because announcements are lost while the queue or the subscription does not exist.
   * Runs in the background: a slow S3 must not delay the messages in the queue.
   */
  function catchUp(signal: AbortSignal): void {
    const within = deadline(CONVERGE_WITHIN, signal, 'reading the desired state');
    catchingUp = convergeAll(parts, within.signal)
      .catch((error) => {
        if (!signal.aborted) log.warn({ err: error }, 'cannot read the desired state');
      })
      .finally(() => within[Symbol.dispose]());
  }

  /** Acts on a message, then deletes it. Returns false if it is still in the queue: SQS delivers it again. */
  async function handle(message: Message): Promise<boolean> {
    try {
      await act(message);
    } catch (error) {
      if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) {
        log.error({ err: error }, 'cannot record an announcement; SQS will deliver it again');
        return false;
      }
      refuse(error);
    }
    using limit = deadline(DELETE_WITHIN, NEVER, 'deleting a message');
    try {
      await inbox.delete(message, limit.signal);
      return true;
    } catch (error) {
      log.warn(
        { err: error },
        'cannot delete a message; SQS will deliver it again, and it will get the same answer',
      );
      return false;
    }
  }

  async function act({ body, sentAt }: Message): Promise<void> {
    const receivedAt = clock.now();
    const announcement = await verifier.verify('td-announcement+jws', body, announcementSchema);
    const { deployment, kind, service, replyTo } = announcement;
    const worker = service === undefined ? undefined : workers.get(service);
    const decision = admit(announcement, {
      env: identity.env,
      instance: identity.instance,
      now: clock.now(),
      state: worker?.state(),
    });
    log.debug({ deployment, kind, decision: decision.do }, 'announcement');
    if (decision.do === 'refuse') {
      refuse(new TriggerDeployError(decision.code, decision.why), deployment);
    } else if (decision.do === 'answer-roll-call') {
      await answerRollCall(deployment, replyTo, worker ? [worker] : [...workers.values()]);
    } else if (worker) {
      await carryOut(decision, worker, announcement, { sentAt, receivedAt });
    }
  }

  async function carryOut(
    decision: Decision,
    worker: ServiceWorker,
    announcement: Announcement,
    { sentAt, receivedAt }: { sentAt: number; receivedAt: number },
  ): Promise<void> {
    const { deployment, replyTo } = announcement;
    switch (decision.do) {
      case 'accept':
        return await worker.accept({
          ...decision.order,
          receivedAt,
          // Two clocks, that of the publisher and that of AWS, may differ by more than the span.
          spans: {
            announce: Math.max(0, sentAt - Date.parse(announcement.issuedAt)),
            deliver: Math.max(0, receivedAt - sentAt),
          },
        });
      case 'proceed':
        return await worker.proceed(deployment, replyTo);
      case 'repeat':
        return await worker.repeat(deployment, replyTo);
      case 'raise':
        return await worker.raise(decision.sequence, deployment);
      case 'end':
        return await worker.refuse(decision.order, decision.ending, {
          code: decision.code,
          message: decision.why,
        });
      case 'cancel':
        return await worker.cancel(deployment);
      case 'converge':
        // In the background: a slow S3 must not delay the next announcement.
        void worker
          .converge(desired, AbortSignal.timeout(CONVERGE_WITHIN))
          .catch((error) => log.warn({ err: error }, 'converging failed'));
        return;
      default:
        log.debug({ deployment }, decision.do);
    }
  }

  async function answerRollCall(
    rollCall: string,
    replyTo: string | undefined,
    asked: readonly ServiceWorker[],
  ): Promise<void> {
    const services = await Promise.all(
      asked.map((worker) => worker.record(AbortSignal.timeout(RECORD_WITHIN))),
    );
    reporter.progress(
      {
        kind: 'roll-call',
        v: 1,
        rollCall,
        env: identity.env,
        instance: identity.instance,
        ...(identity.zone === undefined ? {} : { zone: identity.zone }),
        agentVersion: identity.agentVersion,
        at: new Date(clock.now()).toISOString(),
        services,
      },
      replyTo,
    );
  }

  function refuse(error: TriggerDeployError, deployment?: string): void {
    refused += 1;
    parts.onRefused?.(error.code);
    log.warn(
      { code: error.code, refused, ...(deployment === undefined ? {} : { deployment }) },
      `announcement refused: ${error.message}`,
    );
  }

  return {
    lastRound: () => lastRound,
    renew() {
      if (resubscribeAt !== undefined) resubscribeAt = 0;
    },

    async run(stopping) {
      let answeredAt = clock.now();
      await repeat(parts, stopping, 'receiving', async (signal) => {
        lastRound = clock.monotonic();
        if (resubscribeAt === undefined) {
          await inbox.ensure(signal);
          resubscribeAt = clock.monotonic() + RESUBSCRIBE_EVERY;
          log.info('subscribed, waiting for announcements');
          catchUp(signal);
        } else if (clock.monotonic() > resubscribeAt) {
          const subscribed = await resubscribe(signal);
          resubscribeAt = clock.monotonic() + (subscribed ? RESUBSCRIBE_EVERY : RESUBSCRIBE_AGAIN_AFTER);
        }
        try {
          const messages = await inbox.receive(signal);
          // The machine slept, or AWS was out of reach.
          if (clock.now() - answeredAt > AWAY_AFTER) catchUp(signal);
          answeredAt = clock.now();
          for (const message of messages) {
            lastRound = clock.monotonic();
            const isDeleted = await handle(message);
            // When the agent stops, do not wait for a slow delete of each message: SQS delivers the rest again.
            if (!isDeleted && signal.aborted) break;
          }
        } catch (error) {
          if (isQueueGone(error)) resubscribeAt = undefined;
          throw error;
        }
        return 0;
      });
      await catchingUp;
    },
  };
}
