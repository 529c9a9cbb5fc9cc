import type { LocalOrder } from '../deploy/local-order.ts';

/** The interfaces that the loop needs, besides the ports of the deployment steps. */

export interface Message {
  body: string;
  receiptHandle: string;
  /** When it came into the queue, by AWS's clock, ms since the epoch. */
  sentAt: number;
}

/** The queue of this instance. It is subscribed to the topic. */
export interface Inbox {
  /** Creates the queue and the subscription, or corrects them. Idempotent. */
  ensure(signal: AbortSignal): Promise<void>;
  /**
   * Subscribes again. This restores a lost subscription, and has no effect on a correct one. Returns whether
   * announcements may have been lost.
   */
  resubscribe(signal: AbortSignal): Promise<boolean>;
  receive(signal: AbortSignal): Promise<Message[]>;
  delete(message: Message, signal: AbortSignal): Promise<void>;
}

/** The spool of orders that were given on the instance itself. An order stays in it until it is removed. */
export interface LocalOrders {
  pending(): Promise<LocalOrder[]>;
  remove(deployment: string): Promise<void>;
  /** Resolves when there may be a new order, or after `ms`. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
}

/** What publishers see of this instance while it has nothing to report. */
export interface Heartbeat {
  send(signal: AbortSignal): Promise<void>;
}

/** Sends messages to systemd (sd_notify(3)). */
export interface Notifier {
  ready(): Promise<void>;
  status(text: string): void;
  watchdog(): void;
  /** Extends the time that systemd gives the agent to stop: to `ms` from now. */
  extend(ms: number): void;
  stopping(): void;
  /** Within how many ms systemd expects the next watchdog message; undefined without a watchdog. */
  readonly watchdogMs: number | undefined;
}
