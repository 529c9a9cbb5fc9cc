import { z } from 'zod';
import { artifact, artifacts } from '../../shared/manifest.ts';
import { serviceName, ulid, versionName } from '../../shared/names.ts';
import {
  type Ending,
  ORDER_OF_STATES,
  PROGRESS_STATES,
  type Report,
  report,
  reportError,
  STEPS,
} from '../../shared/report.ts';

/**
 * What an instance knows of one service, and every way it may change. All of it is one document, appended
 * to the journal at each change: a deployment's ending and its report in the outbox are one write, so there
 * is no moment between them. Everything here is pure.
 */

/** What was asked for: the part of an announcement, desired state or local command that is acted on. */
export const order = z
  .looseObject({
    deployment: ulid,
    service: serviceName,
    sequence: z.int().min(0),
    version: versionName,
    action: z.enum(['deploy', 'rollback', 'restart']),
    /** None of an adopted release, to which only a local rollback goes. */
    artifacts: artifacts.or(z.array(artifact).max(0)),
    source: z.enum(['announcement', 'desired', 'local']),
    /** The user who gave a local order. */
    by: z.string().max(64).optional(),
    replyTo: z.string().optional(),
    /** Stop after `prepared` until the deployment's next announcement. */
    hold: z.boolean(),
    /** It had its one ending here already (`rejected: expired`, say): it is done, and not told again. */
    quiet: z.boolean().optional(),
  })
  .refine(
    ({ artifacts, source, action }) => artifacts.length > 0 || (source === 'local' && action === 'rollback'),
    {
      error: 'no artifacts',
    },
  );
export type Order = z.infer<typeof order>;

const active = z.looseObject({
  order,
  /** Written before the work of that state begins; written again, moved on, when it is done. */
  state: z.enum(PROGRESS_STATES),
  /** `back` from the moment the rollback was decided on. */
  direction: z.enum(['forward', 'back']),
  /** What ran before; null when nothing did, absent until it has been looked up. */
  previous: versionName.nullable().optional(),
  /** False when the version ran already: it is only checked. */
  changed: z.boolean(),
  /** Install anew although the release is here: it failed on this instance before. */
  fresh: z.boolean(),
  /** Why it goes back. */
  error: reportError.optional(),
  /** The step that failed. */
  during: z.enum(STEPS).optional(),
  /** How many hooks of each kind are done, so that none runs again after a restart of the agent. */
  hooksDone: z.object({ beforeStop: z.int(), afterStart: z.int() }),
  /** The load balancer's groups that it was taken out of, from before that is done until it is back in them. */
  left: z.array(z.string()).optional(),
  /** Traffic may have been given back since it was last taken away: whoever stops the service takes it away again. */
  givenBack: z.boolean().optional(),
  /** The unit's invocation before the switch: once it is another one, the unit has been started since. */
  invocationBefore: z.string().nullable().optional(),
  n: z.int(),
  startedAt: z.number(), // ms since the epoch
  timings: z.partialRecord(z.enum(STEPS), z.number()),
  bootId: z.string(),
  /** How many times the agent has picked it up again after dying in it. */
  recoveries: z.int(),
  /** The agent, or the machine, stopped in it in good order: taking it up again counts for nothing. */
  checkpointed: z.boolean().optional(),
});
export type Active = z.infer<typeof active>;

const ended = z.looseObject({ report, replyTo: z.string().optional() });

export const serviceState = z.looseObject({
  v: z.literal(1),
  instance: z.string(),
  service: serviceName,
  /** The highest valid sequence heard of, and whose it is. */
  seen: z.object({ sequence: z.int(), deployment: ulid }).nullable(),
  /** What was last committed here; null before the first success and after `broken`. */
  running: z.object({ version: versionName, sequence: z.int(), deployment: ulid.optional() }).nullable(),
  /** What left nothing here that is known to be well, until something is; absent where an older agent wrote it. */
  broken: z.object({ sequence: z.int(), deployment: ulid }).nullable().optional(),
  /** The release before the running one. */
  previousGood: versionName.nullable(),
  /** Deployments that failed here: converging never tries them again, and a retry installs anew. */
  failures: z.array(z.object({ sequence: z.int(), deployment: ulid, version: versionName })),
  /** Deployments that were cancelled, perhaps before they arrived. */
  tombstones: z.array(ulid),
  pinned: z.object({ since: z.string(), version: versionName }).nullable(),
  active: active.nullable(),
  waiting: order.nullable(),
  /**
   * The load balancer's groups that it was taken out of and could not be put back into. Where nothing is `well`
   * here it stays out until something is.
   */
  outOfTraffic: z
    .object({ groups: z.array(z.string()), well: z.boolean() })
    .nullable()
    .default(null),
  /** The last endings, newest last: a duplicate gets the same answer again. */
  endings: z.array(ended),
  /** Deployments that had their one ending here, remembered for longer than what it was. */
  over: z.array(ulid).default([]),
  /** Reports that must reach the record and have not yet. */
  outbox: z.array(ended),
});
export type ServiceState = z.infer<typeof serviceState>;

const KEEP = { failures: 20, tombstones: 50, endings: 20, over: 200, outbox: 200 } as const;

/** Codes of failures that another try may well not meet. */
const PASSING: ReadonlySet<string> = new Set(['DOWNLOAD_FAILED', 'NO_SPACE']);

/** Endings after which the service is not what it was before. */
const CHANGING: ReadonlySet<string> = new Set<Ending>(['succeeded', 'rolled-back', 'broken']);

const newest = <T>(list: readonly T[], most: number): T[] => list.slice(Math.max(0, list.length - most));

export function initialState(instance: string, service: string): ServiceState {
  return {
    v: 1,
    instance,
    service,
    seen: null,
    running: null,
    previousGood: null,
    failures: [],
    tombstones: [],
    pinned: null,
    active: null,
    waiting: null,
    outOfTraffic: null,
    endings: [],
    over: [],
    outbox: [],
  };
}

/** Every verified, unexpired change announcement raises `seen`, target or not. */
export function raised(state: ServiceState, sequence: number, deployment: string): ServiceState {
  if (state.seen && state.seen.sequence >= sequence) return state;
  // A pin holds until an announcement with a higher sequence.
  return { ...state, seen: { sequence, deployment }, pinned: null };
}

/** `next` takes the one waiting place. */
export function queued(state: ServiceState, next: Order): ServiceState {
  return { ...state, waiting: next };
}

/** The order of this deployment, if it is active or waits. */
export function underWay({ active, waiting }: ServiceState, deployment: string): Order | undefined {
  return [active?.order, waiting].find((order) => order?.deployment === deployment) ?? undefined;
}

/** The order that is active or waits, changed by `patch`; any other leaves the state as it is. */
export function withOrder(state: ServiceState, deployment: string, patch: Partial<Order>): ServiceState {
  const { active, waiting } = state;
  if (active?.order.deployment === deployment) return moved(state, { order: { ...active.order, ...patch } });
  return waiting?.deployment === deployment ? queued(state, { ...waiting, ...patch }) : state;
}

/** The waiting order becomes the active deployment. */
export function begun(state: ServiceState, context: { bootId: string; now: number }): ServiceState {
  const next = state.waiting;
  if (!next || state.active) throw new Error('begun: nothing waits, or something is active');
  return {
    ...state,
    waiting: null,
    active: {
      order: next,
      state: 'accepted',
      direction: 'forward',
      changed: true,
      // A local rollback takes what is here: there may be nothing to install anew from.
      fresh: !isLocalRollback(next) && state.failures.some((failure) => failure.version === next.version),
      hooksDone: { beforeStop: 0, afterStart: 0 },
      ...(state.outOfTraffic && { left: state.outOfTraffic.groups }),
      n: 0,
      startedAt: context.now,
      timings: {},
      bootId: context.bootId,
      recoveries: 0,
    },
  };
}

/** The active deployment, changed by `patch`. */
export function moved(state: ServiceState, patch: Partial<Active>): ServiceState {
  if (!state.active) throw new Error('moved: nothing is active');
  return { ...state, active: { ...state.active, ...patch } };
}

/** The active deployment is over: its one ending, its report in the outbox, and what it means for the rest. */
export function finished(state: ServiceState, ending: Ending, last: Report): ServiceState {
  const over = state.active;
  if (!over) throw new Error('finished: nothing is active');
  const { deployment, sequence, version } = over.order;
  const told = over.order.quiet ? state : withEnding(state, last, over.order.replyTo);
  const next: ServiceState = { ...told, active: null, outOfTraffic: outOfTrafficAfter(state, over, ending) };
  switch (ending) {
    case 'succeeded':
      return {
        ...next,
        running: { version, sequence, deployment },
        broken: null,
        previousGood:
          state.running && state.running.version !== version ? state.running.version : state.previousGood,
        failures: state.failures.filter((failure) => failure.version !== version),
        pinned: pinOf(next, over.order, last.at),
      };
    case 'broken':
      return {
        ...next,
        running: null,
        broken: { sequence, deployment },
        // What ran last is the one thing a person may want back.
        previousGood: state.running?.version ?? state.previousGood,
        failures: withFailure(state, sequence, deployment, version),
      };
    case 'failed':
      // What may pass by itself must not keep an instance from converging for good.
      if (last.error && PASSING.has(last.error.code)) return next;
      return { ...next, failures: withFailure(state, sequence, deployment, version) };
    case 'rolled-back':
      return { ...next, broken: null, failures: withFailure(state, sequence, deployment, version) };
    case 'superseded':
    case 'cancelled':
    case 'rejected':
      return next;
  }
}

function outOfTrafficAfter(state: ServiceState, over: Active, ending: Ending): ServiceState['outOfTraffic'] {
  const groups = over.left ?? [];
  if (groups.length === 0) return null;
  if (ending === 'succeeded') return { groups, well: true };
  if (ending === 'rolled-back') return { groups, well: typeof over.previous === 'string' };
  return { groups, well: ending !== 'broken' && (state.outOfTraffic?.well ?? true) };
}

function isLocalRollback(order: Order): boolean {
  return order.source === 'local' && order.action === 'rollback';
}

/** A local order pins where it succeeds, unless an announcement with a higher sequence came while it was under way. */
function pinOf(state: ServiceState, done: Order, since: string): ServiceState['pinned'] {
  const overtaken = (state.seen?.sequence ?? 0) > done.sequence;
  return done.source === 'local' && !overtaken ? { since, version: done.version } : state.pinned;
}

/** An ending for a deployment that was never active here: rejected, superseded or cancelled before it began. */
export function withEnding(state: ServiceState, last: Report, replyTo: string | undefined): ServiceState {
  const entry = { report: last, ...(replyTo === undefined ? {} : { replyTo }) };
  return {
    ...state,
    endings: remembered([...state.endings, entry], state.seen?.deployment),
    over: newest([...state.over, last.deployment], KEEP.over),
    outbox: newest([...state.outbox, entry], KEEP.outbox),
  };
}

/** The newest endings, and in any case that of the highest sequence: its duplicate must find it, whatever came since. */
function remembered(endings: ServiceState['endings'], highest: string | undefined): ServiceState['endings'] {
  const oldest = endings.slice(0, Math.max(0, endings.length - KEEP.endings));
  const kept = oldest.filter((entry) => entry.report.deployment === highest);
  return [...kept, ...newest(endings, KEEP.endings)];
}

/** Puts a report that must be delivered, and is no ending (`accepted`), into the outbox. */
export function withOutgoing(
  state: ServiceState,
  outgoing: Report,
  replyTo: string | undefined,
): ServiceState {
  const entry = { report: outgoing, ...(replyTo === undefined ? {} : { replyTo }) };
  return { ...state, outbox: newest([...state.outbox, entry], KEEP.outbox) };
}

export function delivered(state: ServiceState, sent: Report): ServiceState {
  return {
    ...state,
    outbox: state.outbox.filter(
      (entry) => entry.report.deployment !== sent.deployment || entry.report.n !== sent.n,
    ),
  };
}

export function tombstoned(state: ServiceState, deployment: string): ServiceState {
  if (state.tombstones.includes(deployment)) return state;
  return { ...state, tombstones: newest([...state.tombstones, deployment], KEEP.tombstones) };
}

export function endingOf(
  state: ServiceState,
  deployment: string,
): { report: Report; replyTo?: string | undefined } | undefined {
  return state.endings.findLast((entry) => entry.report.deployment === deployment);
}

/** Whether it had its one ending here: nothing that is heard of it again gives it another. */
export function hasEnded(state: ServiceState, deployment: string): boolean {
  return state.over.includes(deployment) || endingOf(state, deployment) !== undefined;
}

/** The deployment that broke the service, null where it is well. What was refused, or changed nothing, mends nothing. */
export function brokenBy({
  running,
  broken,
  endings,
}: ServiceState): NonNullable<ServiceState['broken']> | null {
  if (running) return null;
  if (broken !== undefined) return broken;
  const last = endings.findLast(({ report }) => CHANGING.has(report.state))?.report;
  return last?.state === 'broken' ? { sequence: last.sequence, deployment: last.deployment } : null;
}

/** Releases that must outlive any pruning. */
export function precious(state: ServiceState): Set<string> {
  const keep = [
    state.running?.version,
    state.previousGood,
    state.active?.previous,
    state.active?.order.version,
    state.waiting?.version,
  ];
  return new Set(keep.filter((version) => version !== null && version !== undefined));
}

/** Whether a newer order or a cancel may still end it without anything having changed on the instance. */
export function beforeSwitch(running: Active): boolean {
  return running.direction === 'forward' && ORDER_OF_STATES[running.state] < ORDER_OF_STATES.switching;
}

function withFailure(
  state: ServiceState,
  sequence: number,
  deployment: string,
  version: string,
): ServiceState['failures'] {
  return newest([...state.failures, { sequence, deployment, version }], KEEP.failures);
}
