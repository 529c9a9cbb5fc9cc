import { formatMs } from '../../shared/duration.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import type { Log } from '../../shared/log.ts';
import { collectSpans, type Span } from '../../shared/spans.ts';
import type { Step } from '../../shared/states.ts';
import { ANSWERS_WITHIN, aborted, orLeft, untilTime } from './abandon.ts';
import { buildReport, previousAndChanged, progressReport } from './build-report.ts';
import type { Hook, Identity, Ports, ServiceConfig } from './ports.ts';
import type { EndGuard } from './service-end.ts';
import { type Active, beforeSwitch, type Order } from './state.ts';
import type { StateStore } from './state-store.ts';
import { withActive, withOutgoing } from './state-transitions.ts';

/** A preparation that reports no progress for so long is left, ms. */
const PREPARE_STALLED_AFTER = 60 * 60_000;

/** The active deployment, as the steps see it. */
export interface DeploymentRun {
  readonly ports: Ports;
  readonly service: ServiceConfig;
  readonly identity: Identity;
  readonly log: Log;
  /**
   * Aborts when the agent stops; before the switch also when the deployment is cancelled or superseded; after it, as long
   * as it goes forward, also when the instance ends too soon.
   */
  readonly signal: AbortSignal;
  /** Aborts like `signal`, but not when the agent stops. For hooks: a stop of the agent waits for them. */
  readonly cancelled: AbortSignal;
  /** Aborts when the agent stops, for no other reason. */
  readonly stopping: AbortSignal;
  active(): Active;
  /** The deployment does not go forward any more: from now on `signal` is as it is for a rollback, after the switch. */
  endForward(): void;
  /** Whether the instance is about to end: traffic must not return to it. */
  isEnding(): boolean;
  /**
   * Journals a change of the state, then sends a report. A kill may lose the report, but not the change. A state that a
   * publisher waits for (`isAwaited`) is reported to the record as well: replies may be lost.
   */
  move(patch: Partial<Active>): Promise<void>;
  /** Sends a report with a note about the current state. Nothing is journalled. */
  note(text: string): void;
  /** Runs a hook. A stop of the agent waits for it, until its timeout. @throws HOOK_FAILED. */
  runHook(hook: Hook, environment: Readonly<Record<string, string>>): Promise<void>;
  /**
   * Runs a step and adds its duration to the step's timing. A step that does not end within seconds after it should
   * (`signal` aborted) is left: this throws, and `work` can no longer journal or report anything with the run that it
   * was given.
   */
  timed<T>(step: Step, work: (run: DeploymentRun) => Promise<T>): Promise<T>;
  /** Runs work that only a stop of the agent ends, after a cancel as well. It is left like a step. */
  despiteCancel<T>(work: (run: DeploymentRun) => Promise<T>): Promise<T>;
  /** Whether a step of this run had to be left. */
  hasLeft(): boolean;
  /** Until when a stop waits for the hook that runs, on the monotonic clock, ms; 0 without one. */
  busyUntil(): number;
  /** Time spent in each step so far, ms. */
  timings(): Active['timings'];
  /** Time spent in parts of the steps so far, ms. */
  spans(): NonNullable<Active['spans']>;
  /** Returns the number for the next report. Each call returns a new one. */
  nextN(): number;
}

export function createDeploymentRun(context: {
  ports: Ports;
  service: ServiceConfig;
  identity: Identity;
  log: Log;
  stopping: AbortSignal;
  cancelled: AbortSignal;
  ending: Pick<EndGuard, 'why' | 'tooLate'>;
  store: StateStore;
  /** Called after a report for the record is journalled: the outbox has it. */
  onOutgoing: () => void;
}): DeploymentRun {
  const { ports, service, identity, log, stopping, store } = context;
  const { clock } = ports;
  const current = () => {
    const { active } = store.read();
    if (!active) throw new Error('no deployment is active');
    return active;
  };
  const timings = { ...current().timings };
  const spans = { ...current().spans };
  const collector = {
    now: clock.monotonic,
    spent(span: Span, ms: number) {
      spans[span] = (spans[span] ?? 0) + ms;
    },
  };
  let n = current().n;
  // How long it runs is told by the monotonic clock: the wall clock and the first answer of AWS may move the time.
  const startedBefore = Math.max(0, clock.now() - current().startedAt);
  const tookFrom = clock.monotonic() - startedBefore;
  const nextN = () => {
    n += 1;
    return n;
  };
  let step: Step | undefined;
  let lastNote = '';
  let progressAt = clock.monotonic();
  let busyUntil = 0;
  let hasLeft = false;
  let hasEndedForward = false;

  const report = (note?: string) => {
    const now = current();
    const rollingBack = now.direction === 'back' ? 'rollback' : step;
    ports.reporter.progress(
      buildReport(identity, now.order, {
        ...previousAndChanged(now),
        timings,
        spans,
        state: now.state,
        n: nextN(),
        at: clock.now(),
        step: rollingBack,
        note,
      }),
      now.order.replyTo,
    );
  };

  /** The run for work that ends when `left` aborts; from then on it can change and report nothing. */
  function viewFor(left: AbortSignal, cancelled: AbortSignal): DeploymentRun {
    const ends = { stop: AbortSignal.any([stopping, left]), cancel: AbortSignal.any([cancelled, left]) };
    const all = AbortSignal.any([stopping, cancelled, left]);
    const forward = AbortSignal.any([ends.stop, context.ending.tooLate()]);
    const active = () => {
      left.throwIfAborted();
      return current();
    };
    const view: DeploymentRun = {
      ports,
      service,
      identity,
      log,
      stopping,
      get signal() {
        const now = active();
        if (beforeSwitch(now)) return all;
        return now.direction === 'back' || hasEndedForward ? ends.stop : forward;
      },
      get cancelled() {
        return beforeSwitch(active()) ? ends.cancel : left;
      },
      active,
      endForward() {
        hasEndedForward = true;
      },
      isEnding: () => context.ending.why() !== undefined,
      timings: () => timings,
      spans: () => spans,
      nextN,
      hasLeft: () => hasLeft,
      busyUntil: () => busyUntil,
      async move(patch) {
        const before = active().state;
        const now = clock.now();
        const isReported = patch.state !== undefined && isAwaited(active().order, before, patch.state);
        await store.update((state) => {
          // The work may have been left while this change waited for an earlier one.
          left.throwIfAborted();
          const next = withActive(state, {
            ...patch,
            timings: { ...timings },
            spans: { ...spans },
            n: n + 1,
          });
          if (!isReported || !next.active) return next;
          return withOutgoing(next, progressReport(identity, next.active, now), next.active.order.replyTo);
        });
        if (isReported) context.onOutgoing();
        if (active().state !== before) {
          const { state, direction, previous } = active();
          const sinceMs = Math.round(clock.monotonic() - tookFrom);
          log.info({ state, direction, previous, sinceMs, ...(lastNote && { note: lastNote }) }, state);
          lastNote = '';
        }
        progressAt = clock.monotonic();
        report();
      },
      note(text) {
        if (left.aborted || text === lastNote) return;
        lastNote = text;
        progressAt = clock.monotonic();
        log.debug({ note: text }, text);
        report(text);
      },
      async runHook(hook, environment) {
        busyUntil = clock.monotonic() + hook.timeout + ANSWERS_WITHIN;
        try {
          await ports.hooks.run(hook, environment, view.cancelled);
        } finally {
          busyUntil = 0;
        }
      },
      async timed(name, work) {
        step = name;
        const began = clock.monotonic();
        try {
          return await collectSpans(collector, () => leavable(name, work, cancelled));
        } finally {
          timings[name] = (timings[name] ?? 0) + clock.monotonic() - began;
        }
      },
      despiteCancel: (work) => leavable('restoring traffic', work, new AbortController().signal),
    };
    return view;
  }

  async function leavable<T>(
    what: string,
    work: (run: DeploymentRun) => Promise<T>,
    cancelled: AbortSignal,
  ): Promise<T> {
    const left = new AbortController();
    const view = viewFor(left.signal, cancelled);
    progressAt = clock.monotonic();
    const leave = (why: TriggerDeployError): TriggerDeployError => {
      hasLeft = true;
      left.abort(why);
      log.error({ err: why }, why.message);
      return why;
    };
    const ends = what === 'prepare' ? [afterAbort, afterStall] : [afterAbort];
    return await orLeft(work(view), async (settled) =>
      leave(await Promise.race(ends.map((end) => end(what, cancelled, settled)))),
    ).catch(async (error: unknown) => {
      // A change that was being written when the work was left is in the journal after this, or never.
      if (left.signal.aborted) await store.update((state) => state);
      throw error;
    });
  }

  /** Resolves some seconds after the work should have ended. */
  async function afterAbort(
    what: string,
    cancelled: AbortSignal,
    settled: AbortSignal,
  ): Promise<TriggerDeployError> {
    const isCancelled = () => cancelled.aborted && beforeSwitch(current());
    for (let awaited = AbortSignal.any([stopping, cancelled]); ; awaited = stopping) {
      await aborted(awaited, settled);
      const end = clock.monotonic() + ANSWERS_WITHIN;
      await untilTime(clock, () => (isCancelled() ? end : Math.max(end, busyUntil)), settled);
      // A cancel has no effect after the switch began.
      if (stopping.aborted || isCancelled()) break;
    }
    const message = `${what} did not end within ${formatMs(ANSWERS_WITHIN)} after it was to end, and is left`;
    return new TriggerDeployError('TIMEOUT', message);
  }

  /** Resolves when a preparation reported nothing for a long time. */
  async function afterStall(
    what: string,
    _cancelled: AbortSignal,
    settled: AbortSignal,
  ): Promise<TriggerDeployError> {
    await untilTime(clock, () => progressAt + PREPARE_STALLED_AFTER, settled);
    const message = `${what} made no progress for ${formatMs(PREPARE_STALLED_AFTER)}, and is left`;
    return new TriggerDeployError('TIMEOUT', message, {
      hint: 'deploy again; if it repeats, the file or the disk of the instance is bad',
    });
  }

  return viewFor(new AbortController().signal, context.cancelled);
}

/**
 * Whether the publisher of a rolling deployment waits for this change of the state: the instance is prepared and holds,
 * or it goes on after the announcement of its wave.
 */
function isAwaited(order: Order, before: Active['state'], after: Active['state']): boolean {
  return order.hold
    ? after === 'prepared'
    : order.proceeds === true && before === 'prepared' && after !== before;
}
