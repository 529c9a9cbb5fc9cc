import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type SettleRecord, settle, settleFinally, silenceMs } from '../../../../publisher/rollout/settle.ts';
import type { Report } from '../../../../shared/report.ts';
import { ENDINGS, isEnding, PROGRESS_STATES, type State } from '../../../../shared/states.ts';

const record = (change: Partial<SettleRecord> = {}): SettleRecord => ({
  version: '1.1.0',
  previous: '1.0.0',
  action: 'deploy',
  desiredFirst: false,
  expected: [],
  ...change,
  policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback', timeoutMs: 600_000, ...change.policy },
});

/** Reports by instance: `said({ 'i-1': 'succeeded' })`. */
function said(states: Record<string, State>): Map<string, Report> {
  const entries = Object.entries(states).map(([instance, state]): [string, Report] => [
    instance,
    {
      ...{ kind: 'report', v: 1, deployment: '01JDB200000000000000000000', env: 'dev', service: 'payments' },
      ...{ instance, sequence: 1, n: 0, at: '2026-01-01T00:00:00Z', state, version: '1.1.0', timings: {} },
    },
  ]);
  return new Map(entries);
}

const policy = (change: Partial<SettleRecord['policy']>) => ({
  policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback' as const, timeoutMs: 600_000, ...change },
});

describe('has no outcome yet', () => {
  it('while an instance is unfinished', () => {
    expect(settle(record(), said({ a: 'succeeded', b: 'checking' }), 599_999)).toBeUndefined();
  });
  it('for a tenth of the timeout while one instance is silent, although the others have ended', () => {
    const one = record({ expected: ['a', 'b'] });
    expect(settle(one, said({ a: 'succeeded' }), silenceMs(600_000) - 1)).toBeUndefined();
    expect(settle(one, said({ a: 'succeeded' }), silenceMs(600_000))).toMatchObject({
      exitCode: 3,
      silent: ['b'],
    });
  });
  it('for 2 s where no instance was known, so that others can answer', () => {
    expect(settle(record(), said({ a: 'succeeded' }), 1999)).toBeUndefined();
    expect(settle(record(), said({ a: 'succeeded' }), 2000)).toMatchObject({ exitCode: 0 });
  });
  it('not any longer once all known instances have ended', () => {
    expect(settle(record({ expected: ['a'] }), said({ a: 'succeeded' }), 0)).toMatchObject({ exitCode: 0 });
  });
});

describe('the outcome', () => {
  it.each<[string, Partial<SettleRecord>, Record<string, State>, object]>([
    [
      'all succeeded',
      {},
      { a: 'succeeded', b: 'succeeded' },
      { outcome: 'succeeded', exitCode: 0, moveDesired: true },
    ],
    [
      'one rolled back, one succeeded',
      {},
      { a: 'succeeded', b: 'rolled-back' },
      { outcome: 'failed', exitCode: 1, moveDesired: false, rollBack: true },
    ],
    [
      'all rolled back by themselves',
      {},
      { a: 'rolled-back', b: 'failed' },
      { outcome: 'failed', exitCode: 1, rollBack: false },
    ],
    ['one broken', {}, { a: 'broken' }, { outcome: 'failed', exitCode: 1, rollBack: true }],
    [
      'rejected, superseded, cancelled',
      policy({ maxFailures: 2 }),
      { a: 'rejected', b: 'superseded', c: 'cancelled' },
      { outcome: 'failed', exitCode: 1, rollBack: false },
    ],
    [
      'a failure within maxFailures',
      policy({ maxFailures: 1 }),
      { a: 'succeeded', b: 'failed' },
      { outcome: 'succeeded', exitCode: 1, moveDesired: true, rollBack: false },
    ],
    [
      'only failures, within maxFailures',
      policy({ maxFailures: 1 }),
      { a: 'failed' },
      { outcome: 'failed', exitCode: 1, moveDesired: false },
    ],
    [
      'a failure with onFailure stop',
      policy({ onFailure: 'stop' }),
      { a: 'succeeded', b: 'failed' },
      { outcome: 'failed', exitCode: 1, rollBack: false },
    ],
    [
      'a failure at a first deploy',
      { previous: null },
      { a: 'succeeded', b: 'failed' },
      { exitCode: 1, rollBack: false },
    ],
    [
      'a failure of the version that is already the desired state',
      { previous: '1.1.0' },
      { a: 'succeeded', b: 'failed' },
      { exitCode: 1, rollBack: false },
    ],
    [
      'a failure of a rollback',
      { action: 'rollback' },
      { a: 'succeeded', b: 'failed' },
      { exitCode: 1, rollBack: false },
    ],
    [
      'all rolled back, the desired state already written',
      { desiredFirst: true },
      { a: 'rolled-back' },
      { exitCode: 1, rollBack: true },
    ],
    [
      'one silent, the rest succeeded',
      { expected: ['z'] },
      { a: 'succeeded' },
      { outcome: 'timed-out', exitCode: 3, moveDesired: true, rollBack: false },
    ],
    [
      'one silent within allowMissing',
      { expected: ['z'], ...policy({ allowMissing: 1 }) },
      { a: 'succeeded' },
      { outcome: 'succeeded', exitCode: 0, moveDesired: true },
    ],
    [
      'one failed and one silent',
      { expected: ['z'] },
      { a: 'failed', b: 'succeeded' },
      { outcome: 'failed', exitCode: 1, rollBack: true },
    ],
    [
      'one unfinished, the rest succeeded',
      {},
      { a: 'succeeded', b: 'checking' },
      { outcome: 'timed-out', exitCode: 3, moveDesired: false, rollBack: false },
    ],
    [
      'one unfinished within allowMissing',
      policy({ allowMissing: 1 }),
      { a: 'succeeded', b: 'checking' },
      { outcome: 'succeeded', exitCode: 0, moveDesired: true },
    ],
    [
      'one failed, one unfinished',
      {},
      { a: 'failed', b: 'checking' },
      { outcome: 'failed', exitCode: 1, rollBack: true },
    ],
    [
      'known instances, all silent',
      { expected: ['z'] },
      {},
      { outcome: 'timed-out', exitCode: 3, moveDesired: false },
    ],
    [
      'known instances, all silent within allowMissing',
      { expected: ['y', 'z'], ...policy({ allowMissing: 2 }) },
      {},
      { outcome: 'timed-out', exitCode: 3, moveDesired: false },
    ],
    [
      'known instances, all unfinished within allowMissing',
      { expected: ['y', 'z'], ...policy({ allowMissing: 2 }) },
      { y: 'checking', z: 'starting' },
      { outcome: 'timed-out', exitCode: 3, moveDesired: false },
    ],
    ['no known instance and no report', {}, {}, { outcome: 'timed-out', exitCode: 3, moveDesired: true }],
  ])('%s', (_title, change, states, verdict) => {
    expect(settleFinally(record(change), said(states))).toMatchObject(verdict);
  });

  it('says in one line what happened, with the first error', () => {
    const reports = said({ a: 'succeeded', b: 'rolled-back', c: 'rejected' });
    const failed = reports.get('b') as Report;
    failed.error = { code: 'CHECK_FAILED', message: 'GET /health answered 500' };
    const { text } = settleFinally(record({ expected: ['z'] }), reports);
    expect(text).toBe(
      '1 of 4 succeeded, 1 rolled back, 1 rejected, 1 never answered (b: CHECK_FAILED: GET /health answered 500)',
    );
  });
});

describe('for any record', () => {
  const state = fc.constantFrom<State>(...PROGRESS_STATES, ...ENDINGS);
  const anyRecord = fc.record({
    expected: fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd', 'e')),
    states: fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), state),
    previous: fc.constantFrom(null, '1.0.0', '1.1.0'),
    action: fc.constantFrom('deploy' as const, 'rollback' as const),
    desiredFirst: fc.boolean(),
    allowMissing: fc.nat(3),
    maxFailures: fc.nat(3),
    onFailure: fc.constantFrom('rollback' as const, 'stop' as const),
  });
  const each = (claim: (given: SettleRecord, states: Record<string, State>) => void) =>
    fc.assert(
      fc.property(anyRecord, ({ states, allowMissing, maxFailures, onFailure, ...rest }) => {
        claim(record({ ...rest, ...policy({ allowMissing, maxFailures, onFailure }) }), states);
      }),
      { numRuns: 2000 },
    );

  it('there is an outcome at the timeout, the same for every publisher', () => {
    each((given, states) => {
      const verdict = settle(given, said(states), given.policy.timeoutMs);
      expect(verdict).toEqual(settleFinally(given, said(states)));
      if (verdict?.outcome === 'failed') expect(verdict.exitCode).toBe(1);
    });
  });

  it('an outcome stays the same until another report comes', () => {
    each((given, states) => {
      const early = settle(given, said(states), silenceMs(600_000));
      if (early) expect(early).toEqual(settleFinally(given, said(states)));
    });
  });

  it('exit code 0 means: an instance succeeded, none failed, and no more are missing than allowed', () => {
    each((given, states) => {
      const { exitCode, counts, silent, unfinished } = settleFinally(given, said(states));
      const failures = Object.values(states).filter((one) => isEnding(one) && one !== 'succeeded').length;
      const missing = silent.length + unfinished.length;
      const fine = (counts.succeeded ?? 0) > 0 && failures === 0 && missing <= given.policy.allowMissing;
      expect(exitCode === 0).toBe(fine);
      expect(exitCode === 1).toBe(failures > 0);
    });
  });

  it('nothing succeeds, and the desired state of known instances never moves, without an instance that succeeded', () => {
    each((given, states) => {
      const { outcome, moveDesired, counts } = settleFinally(given, said(states));
      if (counts.succeeded) return;
      expect(outcome).not.toBe('succeeded');
      if (given.expected.length > 0 || Object.keys(states).length > 0) expect(moveDesired).toBe(false);
    });
  });

  it('the desired state never moves past maxFailures, and never together with a rollback', () => {
    each((given, states) => {
      const { moveDesired, rollBack } = settleFinally(given, said(states));
      const failures = Object.values(states).filter((one) => isEnding(one) && one !== 'succeeded').length;
      if (failures > given.policy.maxFailures) expect(moveDesired).toBe(false);
      expect(moveDesired && rollBack).toBe(false);
    });
  });

  it('there is no rollback without a previous version, after a rollback, or with onFailure stop', () => {
    each((given, states) => {
      if (!settleFinally(given, said(states)).rollBack) return;
      expect(given.action).toBe('deploy');
      expect(given.previous).toBe('1.0.0');
      expect(given.policy.onFailure).toBe('rollback');
    });
  });

  it('every instance is counted once', () => {
    each((given, states) => {
      const { counts } = settleFinally(given, said(states));
      const all = new Set([...given.expected, ...Object.keys(states)]);
      expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(all.size);
    });
  });
});
