import { onTestFinished } from 'vitest';
import { createOutbox } from '../../../agent/deploy/outbox.ts';
import type { Journal, Reporter } from '../../../agent/deploy/ports.ts';
import { initialState, type ServiceState } from '../../../agent/deploy/state.ts';
import { createStateStore, type StateStore } from '../../../agent/deploy/state-store.ts';
import { withEnding, withOutgoing } from '../../../agent/deploy/state-transitions.ts';
import type { Clock } from '../../../shared/clock.ts';
import { silentLog } from '../../../shared/log.ts';
import { newUlid } from '../../../shared/names.ts';
import type { Report } from '../../../shared/report.ts';
import { isEnding, type State } from '../../../shared/states.ts';

export const NOW = Date.parse('2026-01-31T08:00:00.000Z');
export const DAY = 24 * 60 * 60 * 1000;
export const [A, B, C] = [1, 2, 3].map(newUlid) as [string, string, string];

export const reportOf = (deployment: string, state: State, n: number, at = NOW): Report => ({
  kind: 'report',
  v: 1,
  deployment,
  env: 'dev',
  service: 'payments',
  instance: 'i-1',
  sequence: 1,
  n,
  at: new Date(at).toISOString(),
  state,
  version: '1.0',
  timings: {},
});

export const put = (state: ServiceState, report: Report, replyTo?: string) =>
  isEnding(report.state) ? withEnding(state, report, replyTo) : withOutgoing(state, report, replyTo);
export const holding = (...reports: Report[]) =>
  reports.reduce((state, report) => put(state, report), initialState('i-1', 'payments'));
export const nameOf = (report: Report) =>
  `${report.deployment === A ? 'A' : report.deployment === B ? 'B' : 'C'} ${report.state}`;

/** An outbox over a reporter and a journal that can be made to fail; its clock moves only by what is slept. */
export function setUp(initial: ServiceState) {
  const log = {
    /** Sent to the publisher alone. */
    told: [] as string[],
    tried: [] as string[],
    delivered: [] as string[],
    replies: [] as (string | undefined)[],
    slept: [] as number[],
  };
  const watchers = new Set<() => void>();
  const changed = () => {
    for (const look of watchers) look();
  };
  const faults = {
    /** Called before each delivery; throws when it is to fail. */
    deliver: (_report: Report, _signal: AbortSignal): Promise<void> | void => undefined,
    append: (_state: ServiceState): void => undefined,
    sleep: (_ms: number): void => undefined,
  };
  let now = NOW;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(ms, signal) {
      log.slept.push(ms);
      faults.sleep(ms);
      changed();
      signal.throwIfAborted();
      now += ms;
    },
  };
  const reporter: Reporter = {
    progress(message) {
      if (message.kind === 'report') log.told.push(nameOf(message));
    },
    async deliver(report, replyTo, signal) {
      log.tried.push(nameOf(report));
      await faults.deliver(report, signal);
      log.delivered.push(nameOf(report));
      log.replies.push(replyTo);
    },
    putInstance: async () => undefined,
  };
  const journal: Journal = {
    load: async () => ({ state: undefined, quarantined: undefined }),
    async append(state) {
      faults.append(state);
    },
  };
  const inner = createStateStore(initial, journal);
  const looks = { count: 0 };
  const store: StateStore = {
    read() {
      looks.count += 1;
      // An outbox that never rests would starve the whole process, this test's own end included.
      if (looks.count > 10_000) stopping.abort(new Error('it looks and looks'));
      return inner.read();
    },
    async update(change) {
      const state = await inner.update(change);
      changed();
      return state;
    },
  };
  const outbox = createOutbox(store, { reporter, clock }, silentLog());
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort(new Error('the test is over')));
  /** Resolves once `which` holds after some change. */
  const until = async (which: () => boolean) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (which()) resolve();
    };
    watchers.add(look);
    look();
    await promise;
    watchers.delete(look);
  };
  return {
    ...log,
    store,
    looks,
    outbox,
    faults,
    stopping,
    until,
    start: () => outbox.run(stopping.signal),
    empty: () => until(() => store.read().outbox.length === 0),
  };
}
