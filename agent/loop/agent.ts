import { announcement as announcementSchema } from '../../shared/announcement.ts';
import type { Clock } from '../../shared/clock.ts';
import { isCode, messageOf, TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { deadline } from '../../shared/retry.ts';
import type { Verifier } from '../../shared/signing.ts';
import type { DesiredReader } from '../deploy/converge.ts';
import type { Identity, Reporter } from '../deploy/ports.ts';
import type { ServiceWorker } from '../deploy/worker.ts';
import { admit, type Decision } from './admit.ts';
import { type LocalOrders, takeLocalOrders } from './local-orders.ts';
import { repeatedly } from './repeat.ts';
import { feedWatchdog } from './watchdog.ts';

/** The loop: receive → admit → journal → delete → deploy → report. */

export interface Message {
  body: string;
  receiptHandle: string;
}

/** The instance's own queue, subscribed to the topic. */
export interface Inbox {
  /** Makes queue and subscription what they should be; may be called again at any time. */
  ensure(signal: AbortSignal): Promise<void>;
  /** Repeats the identical Subscribe, which heals a lost one. */
  resubscribe(signal: AbortSignal): Promise<void>;
  receive(signal: AbortSignal): Promise<Message[]>;
  delete(message: Message, signal: AbortSignal): Promise<void>;
}

/** What systemd is told. */
export interface Notifier {
  ready(): Promise<void>;
  status(text: string): void;
  watchdog(): void;
  /** systemd waits `ms` longer for the end of a stop. */
  extend(ms: number): void;
  stopping(): void;
  readonly watchdogMs: number | undefined;
}

export interface AgentParts {
  identity: Identity;
  workers: ReadonlyMap<string, ServiceWorker>;
  inbox: Inbox;
  local: LocalOrders;
  isQueueGone: (error: unknown) => boolean;
  verifier: Verifier;
  desired: DesiredReader;
  reporter: Reporter;
  notifier: Notifier;
  clock: Clock;
  log: Log;
}

/** ms */
const RESUBSCRIBE_EVERY = 10 * 60 * 1000;
const RESUBSCRIBE_AGAIN_AFTER = 60 * 1000;
const CONVERGE_EVERY = 5 * 60 * 1000;
const RECORD_EVERY = 5 * 60 * 1000;
const CONVERGE_AGAIN_AFTER = 60 * 1000;
const DELETE_WITHIN = 10 * 1000;
const CONVERGE_WITHIN = 30 * 1000;
const STOP_EXTENDED_EVERY = 10 * 1000;
const STOP_EXTENDED_BY = 60 * 1000;
const NEVER = new AbortController().signal;

/**
 * Runs until `stopping` aborts, then lets every deployment checkpoint. Ready before any unit is started and
 * without AWS: a service ordered `After=` the agent would otherwise deadlock, and an outage of AWS would be a
 * crash loop.
 */
export async function runAgent(parts: AgentParts, stopping: AbortSignal): Promise<void> {
  const { notifier, log, workers } = parts;
  await notifier.ready();
  log.info({ services: [...workers.keys()], keys: parts.verifier.kids }, 'ready');
  if (parts.verifier.kids.length === 0)
    log.warn('trust: none — anyone who may publish to the topic deploys here');
  const receiver = new Receiver(parts);
  const stopped = new AbortController();
  stopping.addEventListener('abort', () => void askForTime(parts, stopped.signal), { once: true });
  await Promise.all([
    ...[...workers.values()].map((worker) => worker.run(stopping)),
    keepRecords(parts, stopping),
    repeatedly(parts, stopping, 'converging', async (signal, round) => {
      // The first look may precede what was announced while the queue did not exist yet: so one more, soon.
      await convergeAll(parts, signal);
      return round === 0 ? CONVERGE_AGAIN_AFTER : withJitter(CONVERGE_EVERY);
    }),
    receiver.run(stopping),
    takeLocalOrders(parts, stopping),
    feedWatchdog(parts, () => receiver.lastRound, stopping),
  ]).finally(() => stopped.abort());
}

/** A stop waits for a hook under way, as long as its own timeout lets it; systemd has to wait along. */
async function askForTime({ notifier, workers, clock }: AgentParts, stopped: AbortSignal): Promise<void> {
  notifier.stopping();
  const hooks = [...workers.values()].flatMap(({ service }) => [
    ...service.hooks.beforeStop,
    ...service.hooks.afterStart,
  ]);
  const end = clock.monotonic() + Math.max(0, ...hooks.map((hook) => hook.timeout));
  while (clock.monotonic() < end && !stopped.aborted) {
    notifier.extend(STOP_EXTENDED_BY);
    await clock.sleep(STOP_EXTENDED_EVERY, stopped).catch(() => undefined);
  }
}

const withJitter = (ms: number) => ms * (0.8 + 0.4 * Math.random());

/** A change puts its record by itself; one that was lost on the way, and what changed by no deployment, is put here. */
async function keepRecords(parts: AgentParts, stopping: AbortSignal): Promise<void> {
  const told = new Map<string, string>();
  await repeatedly(parts, stopping, 'the instance record', async (signal) => {
    const results = await Promise.allSettled(
      [...parts.workers].map(async ([service, worker]) => {
        const record = await worker.record(signal);
        const said = JSON.stringify({ ...record, at: undefined });
        if (told.get(service) === said) return;
        await parts.reporter.putInstance(record, signal);
        told.set(service, said);
      }),
    );
    const [failure] = reasonsOf(results);
    if (failure !== undefined) throw failure;
    return withJitter(RECORD_EVERY);
  });
}

async function convergeAll({ workers, desired, log }: AgentParts, signal: AbortSignal): Promise<void> {
  const results = await Promise.allSettled(
    [...workers.values()].map((worker) => worker.converge(desired, signal)),
  );
  const reasons = reasonsOf(results);
  // What cannot be trusted is no reason to ask more often.
  const untrusted = reasons.filter((reason) => isCode(reason, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID'));
  for (const err of untrusted) log.error({ err }, 'a desired state is not to be trusted: nothing changes');
  const [failure] = reasons.filter((reason) => !untrusted.includes(reason as never));
  if (failure !== undefined) throw failure;
}

const reasonsOf = (results: readonly PromiseSettledResult<void>[]): unknown[] =>
  results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));

class Receiver {
  readonly #parts: AgentParts;
  /** When the loop last went round, on the monotonic clock, ms. */
  lastRound: number;
  #refused = 0;
  #caughtUp = Promise.resolve();

  constructor(parts: AgentParts) {
    this.#parts = parts;
    this.lastRound = parts.clock.monotonic();
  }

  async run(stopping: AbortSignal): Promise<void> {
    const { inbox, clock, isQueueGone } = this.#parts;
    /** On the monotonic clock, ms; undefined when the queue has to be set up. */
    let resubscribeAt: number | undefined;
    await repeatedly(this.#parts, stopping, 'receiving', async (signal) => {
      this.lastRound = clock.monotonic();
      if (resubscribeAt === undefined) {
        await inbox.ensure(signal);
        resubscribeAt = clock.monotonic() + RESUBSCRIBE_EVERY;
        this.#parts.log.info('subscribed, waiting for announcements');
        this.#catchUp(signal);
      } else if (clock.monotonic() > resubscribeAt) {
        const subscribed = await this.#resubscribe(signal);
        resubscribeAt = clock.monotonic() + (subscribed ? RESUBSCRIBE_EVERY : RESUBSCRIBE_AGAIN_AFTER);
      }
      try {
        for (const message of await inbox.receive(signal)) {
          this.lastRound = clock.monotonic();
          const isDone = await this.#handle(message);
          // What is left comes again: a stop must not wait for each of them.
          if (!isDone && signal.aborted) break;
        }
      } catch (error) {
        if (isQueueGone(error)) resubscribeAt = undefined;
        throw error;
      }
      return 0;
    });
    await this.#caughtUp;
  }

  /** SNS may be away, or the topic, while the queue still holds announcements: they do not wait for it. */
  async #resubscribe(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#parts.inbox.resubscribe(signal);
    } catch (error) {
      signal.throwIfAborted();
      this.#parts.log.warn({ err: error }, `the subscription could not be renewed: ${messageOf(error)}`);
      return false;
    }
    this.#catchUp(signal);
    return true;
  }

  /**
   * What was announced while the queue, or its subscription, was not there is in the desired state. It is read in the
   * background: a slow S3 must not keep what the queue holds waiting.
   */
  #catchUp(signal: AbortSignal): void {
    const within = deadline(CONVERGE_WITHIN, signal, 'reading the desired state');
    this.#caughtUp = convergeAll(this.#parts, within.signal)
      .catch((error) => {
        if (!signal.aborted) this.#parts.log.warn({ err: error }, 'the desired state could not be read');
      })
      .finally(() => within[Symbol.dispose]());
  }

  /** Journal first, then delete: a message whose effect could not be recorded comes back by itself. Whether it is gone. */
  async #handle(message: Message): Promise<boolean> {
    const { log, inbox } = this.#parts;
    try {
      await this.#act(message.body);
    } catch (error) {
      if (!isCode(error, 'SIGNATURE_INVALID', 'DOCUMENT_INVALID')) {
        log.error({ err: error }, 'an announcement could not be recorded: it will come again');
        return false;
      }
      this.#refuse(error);
    }
    using limit = deadline(DELETE_WITHIN, NEVER, 'deleting a message');
    try {
      await inbox.delete(message, limit.signal);
      return true;
    } catch (error) {
      log.warn(
        { err: error },
        'a message could not be deleted: it will come again, and be answered the same',
      );
      return false;
    }
  }

  async #act(body: string): Promise<void> {
    const { verifier, identity, workers, clock, log } = this.#parts;
    const said = await verifier.verify('td-announcement+jws', body, announcementSchema);
    const worker = said.service === undefined ? undefined : workers.get(said.service);
    const decision = admit(said, {
      env: identity.env,
      instance: identity.instance,
      now: clock.now(),
      state: worker?.state(),
    });
    log.debug({ deployment: said.deployment, kind: said.kind, decision: decision.do }, 'announcement');
    if (decision.do === 'refuse') {
      this.#refuse(new TriggerDeployError(decision.code, decision.why), said.deployment);
    } else if (decision.do === 'answer-roll-call') {
      await this.#answerRollCall(said.deployment, said.replyTo, worker ? [worker] : [...workers.values()]);
    } else if (worker) {
      await this.#decided(decision, worker, said);
    }
  }

  async #decided(
    decision: Decision,
    worker: ServiceWorker,
    said: { deployment: string; replyTo?: string | undefined; sequence?: unknown },
  ): Promise<void> {
    switch (decision.do) {
      case 'accept':
        return await worker.accept(decision.order);
      case 'proceed':
        return await worker.proceed(said.deployment, said.replyTo);
      case 'repeat':
        return await worker.repeat(said.deployment, said.replyTo);
      case 'raise':
        return await worker.raise(Number(said.sequence), said.deployment);
      case 'end':
        return await worker.refuse(decision.order, decision.ending, {
          code: decision.code,
          message: decision.why,
        });
      case 'cancel':
        return await worker.cancel(said.deployment);
      case 'converge':
        // In the background: a slow S3 must not keep the next announcement waiting.
        void worker
          .converge(this.#parts.desired, AbortSignal.timeout(CONVERGE_WITHIN))
          .catch((error) => this.#parts.log.warn({ err: error }, 'converging failed'));
        return;
      default:
        this.#parts.log.debug({ deployment: said.deployment }, decision.do);
    }
  }

  async #answerRollCall(
    rollCall: string,
    replyTo: string | undefined,
    workers: ServiceWorker[],
  ): Promise<void> {
    const { identity, clock, reporter } = this.#parts;
    const services = await Promise.all(workers.map((worker) => worker.record(AbortSignal.timeout(5000))));
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

  #refuse(error: TriggerDeployError, deployment?: string): void {
    this.#refused += 1;
    this.#parts.log.warn(
      { code: error.code, refused: this.#refused, ...(deployment === undefined ? {} : { deployment }) },
      `announcement refused: ${error.message}`,
    );
  }
}
