import { setImmediate } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createOutbox } from '../../../../agent/deploy/outbox.ts';
import type { Journal, Reporter } from '../../../../agent/deploy/ports.ts';
import { initialState, type ServiceState } from '../../../../agent/deploy/state.ts';
import { createStateStore, type StateStore } from '../../../../agent/deploy/state-store.ts';
import { withEnding, withOutgoing } from '../../../../agent/deploy/state-transitions.ts';
import type { Clock } from '../../../../shared/clock.ts';
import { silentLog } from '../../../../shared/log.ts';
import { newUlid } from '../../../../shared/names.ts';
import { isEnding, type Report, type State } from '../../../../shared/report.ts';

const NOW = Date.parse('2026-01-31T08:00:00.000Z');
const DAY = 24 * 60 * 60 * 1000;
const [A, B, C] = [1, 2, 3].map(newUlid) as [string, string, string];

const reportOf = (deployment: string, state: State, n: number, at = NOW): Report => ({
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

const put = (state: ServiceState, report: Report, replyTo?: string) =>
  isEnding(report.state) ? withEnding(state, report, replyTo) : withOutgoing(state, report, replyTo);
const holding = (...reports: Report[]) =>
  reports.reduce((state, report) => put(state, report), initialState('i-1', 'payments'));
const nameOf = (report: Report) =>
  `${report.deployment === A ? 'A' : report.deployment === B ? 'B' : 'C'} ${report.state}`;

/** An outbox over a reporter and a journal that can be made to fail; its clock moves only by what is slept. */
function setUp(initial: ServiceState) {
  const log = {
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
    progress: () => undefined,
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

describe('the outbox', () => {
  test('delivers its reports, oldest first, to the replyTo of each', async () => {
    const initial = put(holding(reportOf(A, 'succeeded', 5)), reportOf(B, 'accepted', 0), 'reply-b');
    const box = setUp(put(initial, reportOf(C, 'rejected', 1), 'reply-c'));
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A succeeded', 'B accepted', 'C rejected']);
    expect(box.replies).toEqual([undefined, 'reply-b', 'reply-c']);
    expect(box.slept).toEqual([]);
  });

  test('keeps the endings for duplicates after they were delivered', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5)));
    void box.start();
    await box.empty();
    expect(box.store.read().endings.map(({ report }) => nameOf(report))).toEqual(['A succeeded']);
  });

  test('delivers a report that is added while it waits, once it is woken', async () => {
    const box = setUp(holding());
    void box.start();
    for (const [id, name] of [
      [A, 'A failed'],
      [B, 'B failed'],
    ] as const) {
      await box.store.update((state) => put(state, reportOf(id, 'failed', 3)));
      box.outbox.wake();
      await box.empty();
      expect(box.delivered.at(-1)).toBe(name);
    }
  });

  test('waits while it is empty, until it is woken, and waits again', async () => {
    const box = setUp(holding());
    void box.start();
    for (let i = 0; i < 3; i += 1) {
      box.outbox.wake();
      await setImmediate();
    }
    expect(box.stopping.signal.aborted).toBe(false);
    expect(box.looks.count).toBeLessThan(20);
  });

  test('delivers a report that was added before it ran', async () => {
    const box = setUp(holding());
    await box.store.update((state) => put(state, reportOf(A, 'failed', 3)));
    box.outbox.wake();
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A failed']);
  });

  test('delivers a report that is added during a delivery, without a further wake-up', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 3)));
    box.faults.deliver = async (report) => {
      if (report.deployment !== A) return;
      await box.store.update((state) => put(state, reportOf(B, 'failed', 3)));
      box.outbox.wake();
    };
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A failed', 'B failed']);
  });
});

describe('a report that cannot be delivered', () => {
  test('is retried until it can be, with pauses that grow to a minute, and holds back later ones', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5), reportOf(B, 'failed', 2)));
    box.faults.deliver = () => {
      if (box.tried.length <= 300) throw new Error('ECONNREFUSED');
    };
    void box.start();
    await box.empty();
    expect(box.tried.slice(0, 301)).toEqual(Array(301).fill('A succeeded'));
    expect(box.delivered).toEqual(['A succeeded', 'B failed']);
    expect(box.slept).toHaveLength(300);
    expect(box.slept[0]).toBeLessThanOrEqual(500);
    for (const pause of box.slept.slice(10)) {
      expect(pause).toBeGreaterThanOrEqual(30_000);
      expect(pause).toBeLessThanOrEqual(60_000);
    }
  });

  test('is dropped after a day, and later ones follow', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5), reportOf(B, 'failed', 2, NOW + 2 * DAY)));
    box.faults.deliver = (report) => {
      if (report.deployment === A) throw new Error('AccessDenied');
    };
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['B failed']);
    expect(box.slept.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThan(DAY);
    expect(box.slept.length).toBeGreaterThan(DAY / 60_000);
  });

  test('resets the pause for the next one', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5), reportOf(B, 'failed', 2)));
    const left = new Map([
      [A, 20],
      [B, 1],
    ]);
    box.faults.deliver = ({ deployment }) => {
      const failures = left.get(deployment) ?? 0;
      left.set(deployment, failures - 1);
      if (failures > 0) throw new Error('503');
    };
    void box.start();
    await box.empty();
    expect(box.slept).toHaveLength(21);
    expect(box.slept[19]).toBeGreaterThan(1000);
    expect(box.slept[20]).toBeLessThanOrEqual(500);
  });

  test('is delivered again if its delivery could not be journalled: at least once', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 5)));
    let failures = 2;
    box.faults.append = () => {
      failures -= 1;
      if (failures >= 0) throw new Error('ENOSPC');
    };
    void box.start();
    await box.empty();
    expect(box.delivered).toEqual(['A succeeded', 'A succeeded', 'A succeeded']);
    expect(box.slept).toHaveLength(2);
  });
});

describe('an outdated report', () => {
  test('is not delivered: an accepted whose ending follows', async () => {
    const box = setUp(holding(reportOf(A, 'accepted', 0), reportOf(A, 'succeeded', 9)));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['A succeeded']);
  });

  test('is an accepted whose ending follows behind others', async () => {
    const reports = [reportOf(A, 'accepted', 0), reportOf(B, 'accepted', 0), reportOf(A, 'superseded', 9)];
    const box = setUp(holding(...reports));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['B accepted', 'A superseded']);
  });

  test('is not an accepted that is followed by the ending of another', async () => {
    const box = setUp(holding(reportOf(A, 'accepted', 0), reportOf(B, 'succeeded', 9)));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['A accepted', 'B succeeded']);
  });

  test('may become outdated while AWS is down: then only the ending is tried', async () => {
    const box = setUp(holding(reportOf(A, 'accepted', 0)));
    box.faults.deliver = async () => {
      if (box.tried.length > 3) return;
      if (box.tried.length === 3) await box.store.update((state) => put(state, reportOf(A, 'succeeded', 9)));
      throw new Error('ECONNREFUSED');
    };
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['A accepted', 'A accepted', 'A accepted', 'A succeeded']);
    expect(box.delivered).toEqual(['A succeeded']);
  });

  test('is one older than a day', async () => {
    const old = reportOf(A, 'succeeded', 9, NOW - DAY - 1);
    const box = setUp(holding(old, reportOf(B, 'succeeded', 9, NOW - DAY)));
    void box.start();
    await box.empty();
    expect(box.tried).toEqual(['B succeeded']);
  });

  test('is removed from the journal as well', async () => {
    const box = setUp(holding(reportOf(A, 'succeeded', 9, NOW - 2 * DAY)));
    const journalled: number[] = [];
    box.faults.append = (state) => void journalled.push(state.outbox.length);
    void box.start();
    await box.empty();
    expect(journalled).toEqual([0]);
  });
});

describe('an abort', () => {
  test('ends the outbox while it is empty', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    const running = box.start();
    await box.empty();
    box.stopping.abort(new Error('the agent stops'));
    await expect(running).resolves.toBeUndefined();
  });

  test('ends the outbox in the pause between two attempts, and nothing is lost', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    box.faults.deliver = () => {
      throw new Error('ECONNREFUSED');
    };
    box.faults.sleep = () => {
      if (box.slept.length === 5) box.stopping.abort(new Error('the agent stops'));
    };
    await expect(box.start()).resolves.toBeUndefined();
    expect(box.tried).toHaveLength(5);
    expect(box.store.read().outbox).toHaveLength(1);
  });

  test('ends the outbox during a delivery, which gets the signal, and nothing is lost', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    box.faults.deliver = (_report, signal) => {
      const { promise, reject } = Promise.withResolvers<void>();
      signal.addEventListener('abort', () => reject(signal.reason));
      box.stopping.abort(new Error('the agent stops'));
      return promise;
    };
    await expect(box.start()).resolves.toBeUndefined();
    expect(box.tried).toHaveLength(1);
    expect(box.slept).toEqual([]);
    expect(box.store.read().outbox).toHaveLength(1);
  });

  test('before the run delivers nothing', async () => {
    const box = setUp(holding(reportOf(A, 'failed', 1)));
    box.stopping.abort(new Error('the agent stops'));
    await box.start();
    expect(box.tried).toEqual([]);
  });
});
