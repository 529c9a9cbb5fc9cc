import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { isNews, openProgress } from '../../../../publisher/rollout/follow.ts';
import type { Session } from '../../../../publisher/session.ts';
import { isEnding, PROGRESS_STATES, type Report } from '../../../../shared/report.ts';

const deployment = '01JDB200000000000000000000';
const report = (n: number, state: Report['state'], change: Partial<Report> = {}): Report => ({
  ...{ kind: 'report', v: 1, deployment, env: 'dev', service: 'payments', instance: 'i-1', sequence: 1 },
  ...{ n, at: new Date(n).toISOString(), state, version: '1.0.0', timings: {} },
  ...change,
});
const about = { deployment, env: 'dev', service: 'payments' };

function hearing(reports: readonly Report[]) {
  const told: Report[] = [];
  const emit = (event: { type: string; report?: Report }) => void (event.report && told.push(event.report));
  const session = { emit, clock: { now: () => 0 } } as unknown as Session;
  const progress = openProgress(session, about, () => 42);
  for (const one of reports) progress.hear(one);
  return { told, progress };
}

it('in whatever order and however often reports come, states go forward only and the ending stands', () => {
  const life = [...PROGRESS_STATES.map((state, n) => report(n, state)), report(8, 'succeeded')];
  const shuffled = fc.array(fc.constantFrom(...life), { maxLength: 40 });
  fc.assert(
    fc.property(shuffled, (reports) => {
      const { told, progress } = hearing(reports);
      const numbers = told.map((one) => one.n);
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      const ended = reports.some((one) => one.state === 'succeeded');
      expect(isEnding(progress.reports.get('i-1')?.state ?? 'accepted')).toBe(ended);
    }),
  );
});

it('a second ending changes nothing', () => {
  expect(isNews(report(3, 'rolled-back'), report(4, 'succeeded'))).toBe(false);
  expect(isNews(report(5, 'checking'), report(3, 'succeeded'))).toBe(true);
});

it('reports on another deployment, service or environment are not heard', () => {
  const { told } = hearing([
    report(0, 'accepted', { deployment: '01JDB300000000000000000000' }),
    report(0, 'accepted', { service: 'billing' }),
    report(0, 'accepted', { env: 'prd' }),
  ]);
  expect(told).toEqual([]);
});

it('waiting ends with the next news, or as the tick does', async () => {
  const { progress } = hearing([]);
  expect(await progress.newsOr(Promise.resolve('tick'))).toBe('tick');
  const waiting = progress.newsOr(new Promise(() => undefined));
  progress.hear(report(0, 'accepted'));
  expect(await waiting).toBeUndefined();
});

it('waiting four times a second for hours for news that does not come keeps nothing of it', async () => {
  setFlagsFromString('--expose-gc');
  const gc: () => void = runInNewContext('gc');
  const { progress } = hearing([]);
  const used = () => {
    gc();
    return process.memoryUsage().heapUsed;
  };
  const before = used();
  for (let i = 0; i < 100_000; i += 1) await progress.newsOr(Promise.resolve());
  const grown = used() - before;
  // It still waits, and what it would keep is kept: 300 bytes each time.
  expect(progress.reports.size).toBe(0);
  expect(grown).toBeLessThan(10_000_000);
});
