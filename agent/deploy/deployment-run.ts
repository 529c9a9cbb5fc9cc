import type { Log } from '../../shared/log.ts';
import type { Step } from '../../shared/report.ts';
import { buildReport, previousAndChanged } from './build-report.ts';
import type { Identity, Ports, ServiceConfig } from './ports.ts';
import { type Active, beforeSwitch } from './state.ts';
import type { StateStore } from './state-store.ts';
import { withActive } from './state-transitions.ts';

/** The active deployment, as the steps see it. */
export interface DeploymentRun {
  readonly ports: Ports;
  readonly service: ServiceConfig;
  readonly identity: Identity;
  readonly log: Log;
  /** Aborts when the agent stops; before the switch also when the deployment is cancelled or superseded. */
  readonly signal: AbortSignal;
  /** Aborts like `signal`, but not when the agent stops. For hooks: a stop of the agent waits for them. */
  readonly cancelled: AbortSignal;
  /** Aborts when the agent stops, for no other reason. */
  readonly stopping: AbortSignal;
  active(): Active;
  /** Journals a change of the state, then sends a report. A kill may lose the report, but not the change. */
  move(patch: Partial<Active>): Promise<void>;
  /** Sends a report with a note about the current state. Nothing is journalled. */
  note(text: string): void;
  /** Runs `work` and adds its duration to the step's timing. */
  timed<T>(step: Step, work: () => Promise<T>): Promise<T>;
  /** Time spent in each step so far, ms. */
  timings(): Active['timings'];
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
  store: StateStore;
}): DeploymentRun {
  const { ports, service, identity, log, stopping, store } = context;
  const never = new AbortController().signal;
  const stoppingOrCancelled = AbortSignal.any([stopping, context.cancelled]);
  const active = () => {
    const current = store.read().active;
    if (!current) throw new Error('no deployment is active');
    return current;
  };
  const timings = { ...active().timings };
  let n = active().n;
  const nextN = () => {
    n += 1;
    return n;
  };
  let step: Step | undefined;
  let lastNote = '';
  const report = (note?: string) => {
    const now = active();
    const rollingBack = now.direction === 'back' ? 'rollback' : step;
    ports.reporter.progress(
      buildReport(identity, now.order, {
        ...previousAndChanged(now),
        timings,
        state: now.state,
        n: nextN(),
        at: ports.clock.now(),
        step: rollingBack,
        note,
      }),
      now.order.replyTo,
    );
  };
  return {
    ports,
    service,
    identity,
    log,
    stopping,
    get signal() {
      return beforeSwitch(active()) ? stoppingOrCancelled : stopping;
    },
    get cancelled() {
      return beforeSwitch(active()) ? context.cancelled : never;
    },
    active,
    timings: () => timings,
    nextN,
    async move(patch) {
      const before = active().state;
      await store.update((state) => withActive(state, { ...patch, timings: { ...timings }, n: n + 1 }));
      if (active().state !== before) {
        const { state, direction, previous, startedAt } = active();
        const sinceMs = Math.max(0, Math.round(ports.clock.now() - startedAt));
        log.info({ state, direction, previous, sinceMs, ...(lastNote && { note: lastNote }) }, state);
        lastNote = '';
      }
      report();
    },
    note(text) {
      if (text === lastNote) return;
      lastNote = text;
      log.debug({ note: text }, text);
      report(text);
    },
    async timed(name, work) {
      step = name;
      const began = ports.clock.monotonic();
      try {
        return await work();
      } finally {
        timings[name] = (timings[name] ?? 0) + ports.clock.monotonic() - began;
      }
    },
  };
}
