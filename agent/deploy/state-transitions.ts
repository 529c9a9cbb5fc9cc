import type { Report } from '../../shared/report.ts';
import type { Ending } from '../../shared/states.ts';
import type { Active, Order, ServiceState } from './state.ts';

/** Every change of a service's state. Pure: each function returns the next state and leaves the old one as it was. */

const KEEP = { failures: 20, tombstones: 50, endings: 20, over: 200, outbox: 200 } as const;

/** The codes of failures that may pass by themselves. */
const RETRYABLE: ReadonlySet<string> = new Set(['DOWNLOAD_FAILED', 'NO_SPACE', 'INSTANCE_TERMINATING']);

const newest = <T>(list: readonly T[], most: number): T[] => list.slice(Math.max(0, list.length - most));

/** Raises `seen` if `sequence` is higher. Announcements for other instances raise it, too. */
export function withSequence(state: ServiceState, sequence: number, deployment: string): ServiceState {
  if (state.seen && state.seen.sequence >= sequence) return state;
  // A pin ends with the first announcement that has a higher sequence.
  return { ...state, seen: { sequence, deployment }, pinned: null };
}

/** Makes `next` the waiting order. There is only one. */
export function withWaiting(state: ServiceState, next: Order): ServiceState {
  return { ...state, waiting: next };
}

/** Changes the order of `deployment`, active or waiting, by `patch`. Without such an order, the state is unchanged. */
export function withOrder(state: ServiceState, deployment: string, patch: Partial<Order>): ServiceState {
  const { active, waiting } = state;
  if (active?.order.deployment === deployment)
    return withActive(state, { order: { ...active.order, ...patch } });
  return waiting?.deployment === deployment ? withWaiting(state, { ...waiting, ...patch }) : state;
}

/** The waiting order becomes the active deployment. */
export function started(state: ServiceState, context: { bootId: string; now: number }): ServiceState {
  const next = state.waiting;
  if (!next || state.active) throw new Error('started: no order is waiting, or a deployment is active');
  return {
    ...state,
    waiting: null,
    active: {
      order: next,
      state: 'accepted',
      direction: 'forward',
      changed: true,
      // A local rollback uses the release on this instance. Its files may not be available for another preparation.
      fresh: !isLocalRollback(next) && state.failures.some((failure) => failure.version === next.version),
      hooksDone: { beforeStop: 0, afterStart: 0 },
      ...(state.outOfTraffic && { left: state.outOfTraffic.groups }),
      n: 0,
      startedAt: context.now,
      timings: {},
      spans: spansBefore(next, context.now),
      bootId: context.bootId,
      recoveries: 0,
    },
  };
}

/** The spans before the start: a publisher whose clock is ahead, or the clock of AWS, must not make one negative. */
function spansBefore({ spans, receivedAt }: Order, now: number): NonNullable<Active['spans']> {
  return { ...spans, ...(receivedAt === undefined ? {} : { admit: Math.max(0, now - receivedAt) }) };
}

/** The active deployment, changed by `patch`. */
export function withActive(state: ServiceState, patch: Partial<Active>): ServiceState {
  if (!state.active) throw new Error('withActive: no deployment is active');
  return { ...state, active: { ...state.active, ...patch } };
}

/**
 * Ends the active deployment. The ending, its report in the outbox (except for a quiet order) and all other effects are
 * one change.
 */
export function withActiveEnded(state: ServiceState, ending: Ending, last: Report): ServiceState {
  const ended = state.active;
  if (!ended) throw new Error('withActiveEnded: no deployment is active');
  const { deployment, sequence, version } = ended.order;
  const reported = ended.order.quiet ? state : withEnding(state, last, ended.order.replyTo);
  const next: ServiceState = {
    ...reported,
    active: null,
    outOfTraffic: outOfTrafficAfter(state, ended, ending),
  };
  switch (ending) {
    case 'succeeded':
      return {
        ...next,
        running: { version, sequence, deployment },
        broken: null,
        previousGood:
          state.running && state.running.version !== version ? state.running.version : state.previousGood,
        failures: state.failures.filter((failure) => failure.version !== version),
        pinned: pinAfterSuccess(next, ended.order, last.at),
      };
    case 'broken':
      return {
        ...next,
        running: null,
        broken: { sequence, deployment },
        // The last version that ran is what an operator may want to roll back to.
        previousGood: state.running?.version ?? state.previousGood,
        failures: withFailure(state, sequence, deployment, version),
      };
    case 'failed':
      // A failure that may pass by itself must not keep the instance from converging for good.
      if (last.error && RETRYABLE.has(last.error.code)) return next;
      return { ...next, failures: withFailure(state, sequence, deployment, version) };
    case 'rolled-back':
      // The instance was about to end, and stays: the version did not fail.
      if (last.error?.code === 'INSTANCE_TERMINATING') return { ...next, broken: null };
      return { ...next, broken: null, failures: withFailure(state, sequence, deployment, version) };
    case 'superseded':
    case 'cancelled':
    case 'rejected':
      return next;
  }
}

function outOfTrafficAfter(state: ServiceState, ended: Active, ending: Ending): ServiceState['outOfTraffic'] {
  const groups = ended.left ?? [];
  if (groups.length === 0) return null;
  if (ending === 'succeeded') return { groups, well: true };
  if (ending === 'rolled-back') return { groups, well: typeof ended.previous === 'string' };
  return { groups, well: ending !== 'broken' && (state.outOfTraffic?.well ?? true) };
}

function isLocalRollback(order: Order): boolean {
  return order.source === 'local' && order.action === 'rollback';
}

/** A local order that succeeds pins its version, unless an announcement with a higher sequence arrived meanwhile. */
function pinAfterSuccess(state: ServiceState, done: Order, since: string): ServiceState['pinned'] {
  const overtaken = (state.seen?.sequence ?? 0) > done.sequence;
  return done.source === 'local' && !overtaken ? { since, version: done.version } : state.pinned;
}

/** Records an ending and its report. The deployment need not have been active (rejected, superseded, cancelled). */
export function withEnding(state: ServiceState, last: Report, replyTo: string | undefined): ServiceState {
  const entry = { report: last, ...(replyTo === undefined ? {} : { replyTo }) };
  return {
    ...state,
    endings: trimEndings([...state.endings, entry], state.seen?.deployment),
    over: newest([...state.over, last.deployment], KEEP.over),
    outbox: newest([...state.outbox, entry], KEEP.outbox),
  };
}

/** Keeps the newest endings, and the one with the highest sequence, which answers a duplicate announcement. */
function trimEndings(endings: ServiceState['endings'], highest: string | undefined): ServiceState['endings'] {
  const oldest = endings.slice(0, Math.max(0, endings.length - KEEP.endings));
  const kept = oldest.filter((entry) => entry.report.deployment === highest);
  return [...kept, ...newest(endings, KEEP.endings)];
}

/** Puts a report that must be delivered but is not an ending (`accepted`) into the outbox. */
export function withOutgoing(
  state: ServiceState,
  outgoing: Report,
  replyTo: string | undefined,
): ServiceState {
  const entry = { report: outgoing, ...(replyTo === undefined ? {} : { replyTo }) };
  return { ...state, outbox: newest([...state.outbox, entry], KEEP.outbox) };
}

export function withoutDelivered(state: ServiceState, sent: Report): ServiceState {
  return {
    ...state,
    outbox: state.outbox.filter(
      (entry) => entry.report.deployment !== sent.deployment || entry.report.n !== sent.n,
    ),
  };
}

export function withTombstone(state: ServiceState, deployment: string): ServiceState {
  if (state.tombstones.includes(deployment)) return state;
  return { ...state, tombstones: newest([...state.tombstones, deployment], KEEP.tombstones) };
}

function withFailure(
  state: ServiceState,
  sequence: number,
  deployment: string,
  version: string,
): ServiceState['failures'] {
  return newest([...state.failures, { sequence, deployment, version }], KEEP.failures);
}

/** The end of the instance was announced, or goes on. What was drained by a deployment that is given up counts. */
export function withEndAnnounced(state: ServiceState): ServiceState {
  if (state.ending) return state;
  const drained = state.active !== null;
  return { ...state, ending: { drained, hooksDone: { beforeStop: 0, onTerminate: 0 }, shipped: false } };
}

/** What was done for the end of the instance, changed by `patch`. */
export function withEnd(
  state: ServiceState,
  patch: Partial<NonNullable<ServiceState['ending']>>,
): ServiceState {
  return state.ending ? { ...state, ending: { ...state.ending, ...patch } } : state;
}
