import type { LocalOrder } from '../deploy/local-order.ts';

/** The interfaces that the loop needs, besides the ports of the deployment steps. */

export interface Message {
  body: string;
  receiptHandle: string;
}

/** The instance's own queue, subscribed to the topic. */
export interface Inbox {
  /** Creates the queue and the subscription, or corrects them; may be called again at any time. */
  ensure(signal: AbortSignal): Promise<void>;
  /** Repeats the identical Subscribe, which restores a lost subscription. */
  resubscribe(signal: AbortSignal): Promise<void>;
  receive(signal: AbortSignal): Promise<Message[]>;
  delete(message: Message, signal: AbortSignal): Promise<void>;
}

/** Orders given on the instance itself. Each stays in the spool until it is removed. */
export interface LocalOrders {
  pending(): Promise<LocalOrder[]>;
  remove(deployment: string): Promise<void>;
  /** Resolves when a new order may be there, after `ms` at the latest. */
  changed(ms: number, signal: AbortSignal): Promise<void>;
}

/** The messages that systemd receives (sd_notify(3)). */
export interface Notifier {
  ready(): Promise<void>;
  status(text: string): void;
  watchdog(): void;
  /** systemd waits `ms` longer for the agent to stop. */
  extend(ms: number): void;
  stopping(): void;
  /** Within how many ms systemd expects the next watchdog message; undefined without a watchdog. */
  readonly watchdogMs: number | undefined;
}
