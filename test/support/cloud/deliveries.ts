/** One message on its way into a queue: `sqs` was sent to it, `sns` came from a topic it subscribes to. */
export interface Delivery {
  readonly via: 'sns' | 'sqs';
  readonly queue: string;
  readonly body: string;
}

export type Which = (delivery: Delivery) => boolean;

interface Parcel {
  readonly delivery: Delivery;
  readonly handOver: () => void;
}

const every: Which = () => true;

/**
 * The liberties that a standard queue takes (SQS Developer Guide, "At-least-once delivery": a copy may come
 * again, in any order, late), taken on purpose. Each rule acts on the deliveries that its `which` picks, all of
 * them by default, and stays until it is replaced or `straight()` ends it. A delivery is first duplicated, then
 * held or gathered, else delayed, else handed over at once.
 */
export class Deliveries {
  #duplicate: { copies: number; which: Which } | undefined;
  #delay: { ms: number; which: Which } | undefined;
  #hold: Which | undefined;
  #reorder: { group: number; which: Which } | undefined;
  #held: Parcel[] = [];
  readonly #gathered = new Map<string, Parcel[]>();
  readonly #timers = new Map<NodeJS.Timeout, Parcel>();

  /** Every message comes `copies` times more, with the same message id and its own receipt handle. */
  duplicate(copies = 1, which: Which = every): void {
    this.#duplicate = { copies, which };
  }

  /** Messages become visible `ms` later. */
  delay(ms: number, which: Which = every): void {
    this.#delay = { ms, which };
  }

  /** Per queue, waits until `group` messages have gathered, then hands them over newest first. */
  reorder(group = 2, which: Which = every): void {
    this.#reorder = { group, which };
  }

  /** Keeps messages back until `release`; without one, they are lost. */
  hold(which: Which = every): void {
    this.#hold = which;
  }

  get held(): readonly Delivery[] {
    return this.#held.map((parcel) => parcel.delivery);
  }

  /** Ends `hold` and hands over what it kept. */
  release(order: 'as sent' | 'reversed' = 'as sent'): void {
    this.#hold = undefined;
    const parcels = this.#held;
    this.#held = [];
    handOver(order === 'reversed' ? parcels.reverse() : parcels);
  }

  /** Ends every rule; whatever is still kept back is handed over. */
  straight(): void {
    this.#duplicate = undefined;
    this.#delay = undefined;
    this.#reorder = undefined;
    const late = [...this.#gathered.values(), [...this.#timers.values()]].flat();
    this.discard();
    this.release();
    handOver(late);
  }

  /** For the cloud: a message enters here. */
  accept(delivery: Delivery, handOverOne: () => void): void {
    const copies = this.#duplicate?.which(delivery) ? this.#duplicate.copies : 0;
    for (let copy = 0; copy <= copies; copy++) this.#pass({ delivery, handOver: handOverOne });
  }

  /** For the cloud: forgets what is waiting, so that nothing keeps a stopped cloud's process alive. */
  discard(): void {
    for (const timer of this.#timers.keys()) clearTimeout(timer);
    this.#timers.clear();
    this.#gathered.clear();
  }

  #pass(parcel: Parcel): void {
    const { delivery } = parcel;
    if (this.#hold?.(delivery)) this.#held.push(parcel);
    else if (this.#reorder?.which(delivery)) this.#gather(parcel, this.#reorder.group);
    else if (this.#delay?.which(delivery)) this.#handOverLater(parcel, this.#delay.ms);
    else parcel.handOver();
  }

  #gather(parcel: Parcel, group: number): void {
    const { queue } = parcel.delivery;
    const gathered = [...(this.#gathered.get(queue) ?? []), parcel];
    this.#gathered.set(queue, gathered);
    if (gathered.length < group) return;
    this.#gathered.delete(queue);
    handOver(gathered.reverse());
  }

  #handOverLater(parcel: Parcel, ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      parcel.handOver();
    }, ms);
    this.#timers.set(timer, parcel);
  }
}

function handOver(parcels: readonly Parcel[]): void {
  for (const parcel of parcels) parcel.handOver();
}
