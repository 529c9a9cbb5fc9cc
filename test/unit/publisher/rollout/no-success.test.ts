import { describe, expect, it } from 'vitest';
import type { Rolling } from '../../../../publisher/record/deployment-schema.ts';
import {
  type Facts,
  nextStep,
  type RollingRecord,
  settleUndriven,
} from '../../../../publisher/rollout/next-step.ts';
import type { Report } from '../../../../shared/report.ts';
import type { State } from '../../../../shared/states.ts';
import { proved } from '../../../support/reliability.ts';

/** A rollout never goes further than its successes: whatever it may lose, it needs one in each wave. */

const AT = '2026-01-01T00:00:00.000Z';
const PASSED = { announcedAt: AT, passedAt: AT };
const THREE = ['i-1', 'i-2', 'i-3'];

type Change = { rolling?: Partial<Rolling>; policy?: Partial<RollingRecord['policy']> };
const record = ({ rolling = {}, policy = {} }: Change): RollingRecord => ({
  ...{ version: '2', previous: '1', action: 'deploy', expected: THREE, desiredFirst: false },
  policy: { allowMissing: 0, maxFailures: 0, onFailure: 'rollback', timeoutMs: 60_000, ...policy },
  rolling: {
    waves: [
      { kind: 'canary', instances: ['i-1'] },
      { kind: 'batch', instances: ['i-2', 'i-3'] },
    ],
    ...{ failed: [], missing: [], gate: 'none', pauseBetweenMs: 0, preparedAt: AT, ...rolling },
  },
});

const reports = (states: Record<string, State>) =>
  new Map(Object.entries(states).map(([instance, state]) => [instance, { instance, state } as Report]));

const step = (change: Change, states: Record<string, State>, facts: Partial<Facts> = {}) =>
  nextStep(record(change), {
    ...{ now: Date.parse(AT) + 120_000, sinceAnnounced: 60_000, ...facts },
    reports: reports(states),
  });

const canaryRan: Change['rolling'] = {
  waves: [
    { kind: 'canary', instances: ['i-1'], ...PASSED },
    { kind: 'batch', instances: ['i-2'], ...PASSED },
    { kind: 'batch', instances: ['i-3'] },
  ],
};

describe('--allow-missing', () => {
  const slow: Change = { rolling: { preparedAt: undefined }, policy: { allowMissing: 3 } };

  it.each<[string, Record<string, State>]>([
    ['is slow to prepare', { 'i-1': 'preparing', 'i-2': 'preparing', 'i-3': 'accepted' }],
    ['is silent', {}],
  ])('of every instance ends the rollout when each one %s: nothing was switched', (_title, states) => {
    const ended = step(slow, states);
    expect(ended).toMatchObject({ settlement: { outcome: 'timed-out', exitCode: 3, moveDesired: false } });
    expect(JSON.stringify(ended)).toContain('nothing was switched');
    expect(JSON.stringify(ended)).not.toContain('--allow-missing');
  });

  it('of every instance ends the rollout as failed when one cannot prepare and the others are silent', () => {
    const change = { ...slow, policy: { allowMissing: 3, maxFailures: 3 } };
    expect(step(change, { 'i-1': 'failed' })).toMatchObject({ settlement: { outcome: 'failed' } });
  });

  it('is proposed where another instance is prepared, for as many as it needs', () => {
    const ended = step({ rolling: { preparedAt: undefined } }, { 'i-1': 'prepared', 'i-2': 'preparing' });
    expect(ended).toMatchObject({ settlement: { outcome: 'timed-out' } });
    expect(JSON.stringify(ended)).toContain('--allow-missing 2 continues without them');
  });
});

describe('the canary', () => {
  const canary: Change['rolling'] = {
    waves: [
      { kind: 'canary', instances: ['i-1'], announcedAt: AT },
      { kind: 'batch', instances: ['i-2', 'i-3'] },
    ],
  };

  it('that cannot prepare, within --max-failures, is replaced by another instance', () => {
    const change = { rolling: { preparedAt: undefined }, policy: { maxFailures: 1 } };
    const states = { 'i-1': 'failed', 'i-2': 'prepared', 'i-3': 'prepared' } as const;
    expect(step(change, states)).toMatchObject({
      do: 'record',
      rolling: {
        waves: [
          { kind: 'canary', instances: ['i-2'] },
          { kind: 'batch', instances: ['i-3'] },
        ],
      },
    });
  });

  it.each<State>(['rolled-back', 'failed', 'broken'])(
    'that ended %s ends the rollout, whatever --max-failures says',
    (state) => {
      const ended = step({ rolling: canary, policy: { maxFailures: 3 } }, { 'i-1': state });
      expect(ended).toMatchObject({ settlement: { outcome: 'failed', exitCode: 1, moveDesired: false } });
      expect(JSON.stringify(ended)).toContain('no instance succeeded in wave 1 of 2');
      proved('no-success', 'a canary that failed ends the rollout');
    },
  );

  it.each<[string, Record<string, State>]>([
    ['never answered', { 'i-1': 'prepared' }],
    ['is too slow', { 'i-1': 'checking' }],
  ])('that %s ends the rollout, whatever --allow-missing says', (_title, states) => {
    const ended = step({ rolling: canary, policy: { allowMissing: 3 } }, states);
    expect(ended).toMatchObject({ settlement: { outcome: 'timed-out', moveDesired: false } });
    proved('no-success', 'a canary that never answered ends the rollout');
  });

  it.each(['time', 'person'] as const)(
    'that passed without a success, in the record of an older publisher, never gets through the gate: %s',
    (gate) => {
      const waves: Rolling['waves'] = [
        { kind: 'canary', instances: ['i-1'], ...PASSED },
        { kind: 'batch', instances: ['i-2', 'i-3'] },
      ];
      const rolling = { waves, gate, autoConfirmMs: 1000, awaitingSince: AT, failed: ['i-1'] };
      const change = { rolling, policy: { maxFailures: 1 } };
      const ended = step(change, { 'i-1': 'rolled-back' }, { confirmedBy: 'ann' });
      expect(ended).toMatchObject({ do: 'end', settlement: { outcome: 'failed' } });
    },
  );
});

describe('a batch', () => {
  it('of one that fails, after a canary that succeeded, counts for --max-failures only', () => {
    const change = { rolling: canaryRan, policy: { maxFailures: 1 } };
    expect(step(change, { 'i-1': 'succeeded', 'i-2': 'rolled-back' })).toMatchObject({ do: 'record' });
  });

  it('of two that both fail ends the rollout, whatever --max-failures says', () => {
    const waves: Rolling['waves'] = [
      { kind: 'canary', instances: ['i-1'], ...PASSED },
      { kind: 'batch', instances: ['i-2', 'i-3'], announcedAt: AT },
    ];
    const change = { rolling: { waves }, policy: { maxFailures: 3 } };
    const states = { 'i-1': 'succeeded', 'i-2': 'rolled-back', 'i-3': 'rolled-back' } as const;
    expect(step(change, states)).toMatchObject({ settlement: { outcome: 'failed', rollBack: true } });
  });

  it('that is the first wave ends the rollout when its only instance fails', () => {
    const waves: Rolling['waves'] = THREE.map((one) => ({ kind: 'batch', instances: [one] }));
    waves[0] = { kind: 'batch', instances: ['i-1'], announcedAt: AT };
    const change = { rolling: { waves }, policy: { maxFailures: 2 } };
    expect(step(change, { 'i-1': 'failed' })).toMatchObject({ settlement: { outcome: 'failed' } });
  });
});

it('a rollout of no wave, or whose waves all passed without a success, is not settled as succeeded', () => {
  const passed: Rolling['waves'] = [{ kind: 'batch', instances: ['i-1', 'i-2'], ...PASSED }];
  for (const waves of [[], passed]) {
    const given = { rolling: { waves }, policy: { allowMissing: 3 } };
    expect(step(given, { 'i-1': 'prepared' })).toMatchObject({
      settlement: { outcome: 'timed-out', moveDesired: false },
    });
    const settled = settleUndriven(record(given), reports({ 'i-1': 'prepared' }));
    expect(settled).toMatchObject({ outcome: 'timed-out', moveDesired: false });
  }
});
