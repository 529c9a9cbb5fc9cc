import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { PublisherEvent } from '../../../../publisher/events.ts';
import { hearing, isNewer, openProgress } from '../../../../publisher/rollout/follow.ts';
import type { Report } from '../../../../shared/report.ts';
import { isEnding, PROGRESS_STATES } from '../../../../shared/states.ts';
import { never } from '../../../support/publisher/stage.ts';

const deployment = '01JDB200000000000000000000';
const report = (n: number, state: Report['state'], change: Partial<Report> = {}): Report => ({
  ...{ kind: 'report', v: 1, deployment, env: 'dev', service: 'payments', instance: 'i-1', sequence: 1 },
  ...{ n, at: new Date(n).toISOString(), state, version: '1.0.0', timings: {} },
  ...change,
});
const about = { deployment, env: 'dev', service: 'payments', expected: [] };

/** A clock on which waiting takes no time. */
const immediate = { now: () => 0, monotonic: () => 0, sleep: async () => {} };

function progressOf(reports: readonly Report[]) {
  const emitted: Report[] = [];
  const emit = (event: PublisherEvent) => void (event.type === 'report' && emitted.push(event.report));
  const progress = openProgress({ emit, clock: immediate }, about, () => 42);
  for (const one of reports) progress.add(one);
  return { emitted, progress };
}

it('states only go forward, and nothing follows an ending, whatever the order of the reports and however often they come', () => {
  const life = [...PROGRESS_STATES.map((state, n) => report(n, state)), report(8, 'succeeded')];
  const shuffled = fc.array(fc.constantFrom(...life), { maxLength: 40 });
  fc.assert(
    fc.property(shuffled, (reports) => {
      const { emitted, progress } = progressOf(reports);
      const numbers = emitted.map((one) => one.n);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      const ended = reports.some((one) => one.state === 'succeeded');
      expect(isEnding(progress.reports.get('i-1')?.state ?? 'accepted')).toBe(ended);
    }),
  );
});

it('of a deployment to some instances only their reports count, also when others are heard', () => {
  const some = [{ targets: ['i-1'] }, { rolling: { waves: [], failed: [], missing: [] } as never }];
  for (const to of some) {
    const progress = openProgress(
      { emit: () => {}, clock: immediate },
      { ...about, expected: ['i-1'], ...to },
      () => 0,
    );
    progress.add(report(0, 'failed', { instance: 'i-2' }), 'heard');
    progress.add(report(0, 'accepted'), 'heard');
    expect([...progress.reports.keys()]).toEqual(['i-1']);
  }
});

it('an ending that came before the announcement, by a clock that was set back since, took no time', () => {
  const progress = openProgress({ emit: () => {}, clock: immediate }, about, () => -1200);
  progress.add(report(1, 'succeeded'), 'heard');
  expect(progress.heardMs.get('i-1')).toBe(0);
  expect(progress.tookMs()).toBe(0);
});

it('an instance that sends replies without end takes a bounded amount of memory', () => {
  const heard = new Set<string>();
  const take = hearing({ add: () => undefined }, heard);
  for (let n = 0; n < 150_000; n += 1) take(report(n, 'preparing'), `"${n}"`);
  expect(heard.has('"0"')).toBe(true);
  expect(heard.size).toBeLessThanOrEqual(100_000);
});

it('a second ending changes nothing', () => {
  expect(isNewer(report(4, 'succeeded'), report(3, 'rolled-back'))).toBe(false);
  expect(isNewer(report(3, 'succeeded'), report(5, 'checking'))).toBe(true);
});

it('reports on another deployment, service or environment are ignored', () => {
  const { emitted } = progressOf([
    report(0, 'accepted', { deployment: '01JDB300000000000000000000' }),
    report(0, 'accepted', { service: 'billing' }),
    report(0, 'accepted', { env: 'prd' }),
  ]);
  expect(emitted).toEqual([]);
});

it('waiting ends with the next report, or after its time', async () => {
  const { progress } = progressOf([]);
  await progress.nextReport(never(), { clock: immediate, ms: 1 });
  const waiting = progress.nextReport(never());
  progress.add(report(0, 'accepted'));
  await waiting;
});

it('waiting four times a second for hours, without a report, keeps no memory', async () => {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  const { progress } = progressOf([]);
  const used = () => {
    gc();
    return process.memoryUsage().heapUsed;
  };
  const signal = never();
  const before = used();
  for (let i = 0; i < 100_000; i += 1) {
    await progress.nextReport(signal, { clock: immediate, ms: 250 });
    // Within one turn of the event loop weak references keep what they point at.
    if (i % 1000 === 0) await setImmediate();
  }
  const grown = used() - before;
  // A promise that stays open would keep 300 bytes each time.
  expect(progress.reports.size).toBe(0);
  expect(grown).toBeLessThan(10_000_000);
});
