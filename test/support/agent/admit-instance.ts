import { beforeSwitch, type Order } from '../../../agent/deploy/state.ts';
import {
  started,
  withActive,
  withActiveEnded,
  withEnding,
  withSequence,
  withTombstone,
  withWaiting,
} from '../../../agent/deploy/state-transitions.ts';
import { admit, type Decision } from '../../../agent/loop/admit.ts';
import type { Announcement } from '../../../shared/announcement.ts';
import { type Ending, PROGRESS_STATES } from '../../../shared/states.ts';
import { fresh, know, NOW, reportOf } from './admit-fixture.ts';

/**
 * An instance that carries out what `admit` decides, with the pure functions of the state, as the worker does. Between
 * two announcements its deployments begin, move on and end at random.
 */
export class Instance {
  state = fresh();
  /** How many endings each deployment had. */
  readonly endings = new Map<string, Ending[]>();

  hear(said: Announcement): Decision {
    const decision = admit(said, know(this.state));
    switch (decision.do) {
      case 'accept':
        this.#accept(decision.order);
        break;
      case 'proceed':
        this.#proceed(said.deployment);
        break;
      case 'raise':
        this.state = withSequence(this.state, decision.sequence, said.deployment);
        break;
      case 'end':
        this.#never(decision.order, decision.ending);
        break;
      case 'cancel':
        this.#cancel(said.deployment);
        break;
    }
    return decision;
  }

  /** The next random event; `ending` if it is an ending. */
  goOn(ending: Ending): void {
    const { active: now, waiting } = this.state;
    if (!now) {
      if (waiting) this.state = started(this.state, { bootId: 'b', now: NOW });
      return;
    }
    const next = PROGRESS_STATES[PROGRESS_STATES.indexOf(now.state) + 1];
    if (next === undefined) this.#finish(ending);
    else if (now.state !== 'prepared' || !now.order.hold)
      this.state = withActive(this.state, { state: next });
  }

  #accept(order: Order) {
    this.state = withSequence(this.state, order.sequence, order.deployment);
    if (this.state.waiting) this.#never(this.state.waiting, 'superseded');
    this.state = withWaiting(this.state, order);
    if (this.state.active && beforeSwitch(this.state.active)) this.#finish('superseded');
  }

  #proceed(deployment: string) {
    const { active: now, waiting } = this.state;
    if (now?.order.deployment === deployment)
      this.state = withActive(this.state, { order: { ...now.order, hold: false } });
    else if (waiting?.deployment === deployment)
      this.state = withWaiting(this.state, { ...waiting, hold: false });
  }

  #cancel(deployment: string) {
    this.state = withTombstone(this.state, deployment);
    const { active: now, waiting } = this.state;
    if (waiting?.deployment === deployment) {
      this.state = { ...this.state, waiting: null };
      this.#never(waiting, 'cancelled');
    }
    if (now?.order.deployment === deployment && beforeSwitch(now)) this.#finish('cancelled');
  }

  #never(order: Order, ending: Ending) {
    this.state = withEnding(this.state, reportOf(order, ending), order.replyTo);
    this.#count(order, ending);
  }

  #finish(ending: Ending) {
    const order = this.state.active?.order;
    if (!order) throw new Error('nothing is active');
    this.state = withActiveEnded(this.state, ending, reportOf(order, ending));
    this.#count(order, ending);
  }

  #count({ deployment }: Order, ending: Ending) {
    this.endings.set(deployment, [...(this.endings.get(deployment) ?? []), ending]);
  }
}
