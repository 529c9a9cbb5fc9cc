import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planWaves, type Wave } from '../../../../publisher/plan/waves.ts';
import type { Rolling } from '../../../../publisher/record/deployment-schema.ts';
import { nextStep, type RollingRecord } from '../../../../publisher/rollout/next-step.ts';
import type { Report } from '../../../../shared/report.ts';
import { isEnding, type State } from '../../../../shared/states.ts';

/** A publisher that can die at any step, and instances that can fail in any way, simulated with pure steps. */

const BEHAVIOURS = [
  'good',
  'good',
  'good',
  'cannot prepare',
  'rolls back',
  'breaks',
  'silent',
  'dies prepared',
  'slow',
] as const;
type Behaviour = (typeof BEHAVIOURS)[number];

const PREPARE: Record<Behaviour, readonly State[]> = {
  good: ['accepted', 'preparing', 'prepared'],
  slow: ['accepted', 'preparing', 'preparing', 'preparing', 'preparing', 'prepared'],
  'cannot prepare': ['accepted', 'preparing', 'failed'],
  'rolls back': ['accepted', 'prepared'],
  breaks: ['accepted', 'prepared'],
  silent: [],
  'dies prepared': ['accepted', 'prepared'],
};
const SWITCH: Record<Behaviour, readonly State[]> = {
  good: ['draining', 'switching', 'checking', 'succeeded'],
  slow: ['draining', 'switching', 'checking', 'checking', 'checking', 'checking', 'checking', 'succeeded'],
  'cannot prepare': [],
  'rolls back': ['switching', 'checking', 'rolled-back'],
  breaks: ['switching', 'broken'],
  silent: [],
  'dies prepared': [],
};

interface World {
  behaviours: Behaviour[];
  waves: Rolling['waves'];
  policy: RollingRecord['policy'];
  gate: Rolling['gate'];
  /** After how many steps the publisher dies, again and again. */
  deaths: number[];
  cancelAfter: number | undefined;
  unwell: boolean;
}

const world: fc.Arbitrary<World> = fc
  .record({
    behaviours: fc.array(fc.constantFrom(...BEHAVIOURS), { minLength: 1, maxLength: 12 }),
    canary: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    batch: fc.integer({ min: 1, max: 5 }),
    maxFailures: fc.integer({ min: 0, max: 3 }),
    allowMissing: fc.integer({ min: 0, max: 3 }),
    onFailure: fc.constantFrom('rollback' as const, 'stop' as const),
    gate: fc.constantFrom('none' as const, 'person' as const, 'time' as const),
    deaths: fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 4 }),
    cancelAfter: fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined, freq: 5 }),
    unwell: fc.boolean(),
  })
  .map(({ behaviours, canary, batch, maxFailures, allowMissing, onFailure, ...rest }) => ({
    ...rest,
    behaviours,
    policy: { maxFailures, allowMissing, onFailure, timeoutMs: 60_000 } as RollingRecord['policy'],
    waves: asRecorded(
      planWaves(
        behaviours.map((_, i) => ({ instance: `i-${i}`, zone: `z${i % 3}` })),
        { canary: canary === undefined ? undefined : { count: canary }, batch: { count: batch } },
      ),
    ),
  }));

const asRecorded = (waves: readonly Wave[]): Rolling['waves'] => waves.map((wave) => ({ ...wave }));

interface Announced {
  phase: string;
  wave: number;
  targets: readonly string[];
}

function play(given: World) {
  const instances = given.behaviours.map((_, i) => `i-${i}`);
  const behaviourOf = (instance: string) => given.behaviours[Number(instance.slice(2))] as Behaviour;
  const truth = new Map<string, State>();
  const script = new Map<string, State[]>();
  let reports = new Map<string, Report>();
  const said = (instance: string, state: State) => {
    truth.set(instance, state);
    reports.set(instance, reportOf(instance, state));
  };
  const record: RollingRecord = {
    version: '2',
    previous: '1',
    action: 'deploy',
    expected: instances,
    desiredFirst: false,
    policy: given.policy,
    rolling: {
      ...{ waves: given.waves, failed: [], missing: [], gate: given.gate },
      ...{ autoConfirmMs: 5000, pauseBetweenMs: 2000 },
    },
  };
  const announcements: Announced[] = [];
  const states: Rolling[] = [];
  let now = 1_000_000;
  let announcedAt: number | undefined;
  let unwell: string[] | undefined;
  const deaths = [...given.deaths];
  let life = 0;
  for (let turn = 0; turn < 2000; turn += 1, life += 1) {
    if (deaths[0] !== undefined && life > deaths[0]) {
      deaths.shift();
      life = 0;
      announcedAt = undefined;
      unwell = undefined;
      // A new publisher knows only the reports in the record.
      const inRecord = (state: State) => state === 'accepted' || isEnding(state);
      reports = new Map(
        [...truth].map(([one, state]) => [one, reportOf(one, inRecord(state) ? state : 'accepted')]),
      );
    }
    const step = nextStep(record, {
      now,
      reports,
      sinceAnnounced: announcedAt === undefined ? undefined : now - announcedAt,
      confirmedBy: given.gate === 'person' && record.rolling.awaitingSince ? 'ann' : undefined,
      cancelledBy: given.cancelAfter !== undefined && turn >= given.cancelAfter ? 'bob' : undefined,
      unwell,
    });
    switch (step.do) {
      case 'end':
        return { settlement: step.settlement, announcements, states, truth, record };
      case 'record':
        announcedAt = undefined;
        record.rolling = step.rolling;
        states.push(structuredClone(step.rolling));
        break;
      case 'look':
        unwell = given.unwell ? [step.at[0] as string] : [];
        break;
      case 'announce': {
        announcedAt = now;
        const wave = step.phase.name === 'wave' ? step.phase.wave : -1;
        announcements.push({ phase: step.phase.name, wave, targets: step.targets });
        for (const instance of step.targets) {
          const state = truth.get(instance);
          const begun = script.get(instance);
          if (step.phase.name === 'prepare' && begun === undefined) {
            script.set(instance, [...PREPARE[behaviourOf(instance)]]);
          } else if (step.phase.name === 'wave' && state === 'prepared' && begun?.length === 0) {
            script.set(instance, [...SWITCH[behaviourOf(instance)]]);
          } else if (state !== undefined) said(instance, state);
        }
        break;
      }
      case 'wait':
        now += 1000;
        for (const [instance, left] of script) {
          const state = left.shift();
          if (state !== undefined) said(instance, state);
        }
    }
  }
  throw new Error('it never ends');
}

function reportOf(instance: string, state: State): Report {
  return {
    ...{ kind: 'report', v: 1, deployment: '01JZZZZZZZZZZZZZZZZZZZZZZA', env: 'dev', service: 'payments' },
    ...{ instance, sequence: 1, n: 0, at: new Date(0).toISOString(), state, version: '2', timings: {} },
  };
}

const check = (property: (given: World) => void) => fc.assert(fc.property(world, property), { numRuns: 600 });

describe('a rolling deployment, whatever fails and whenever its publisher dies', () => {
  test('ends with an outcome', () => {
    check((given) => {
      expect(['succeeded', 'failed', 'timed-out', 'cancelled']).toContain(play(given).settlement.outcome);
    });
  });

  test('announces the switch to each instance in one wave at most, and only when all that take part are prepared', () => {
    check((given) => {
      const { announcements, record } = play(given);
      const waveOf = new Map<string, number>();
      for (const { wave, targets } of announcements.filter(({ phase }) => phase === 'wave')) {
        expect(record.rolling.preparedAt).toBeDefined();
        for (const instance of targets) {
          expect(waveOf.get(instance) ?? wave).toBe(wave);
          waveOf.set(instance, wave);
        }
      }
    });
  });

  test('runs one wave at a time, in order, the canary first', () => {
    check((given) => {
      const { announcements, states } = play(given);
      const waves = announcements.filter(({ phase }) => phase === 'wave').map(({ wave }) => wave);
      expect(waves).toEqual(waves.toSorted((a, b) => a - b));
      for (const { waves } of states) {
        expect(waves.filter((wave) => wave.announcedAt && !wave.passedAt).length).toBeLessThanOrEqual(1);
        expect(waves.slice(1).every((wave) => wave.kind === 'batch')).toBe(true);
      }
    });
  });

  test('succeeds only within its limits, and then all other instances run the version', () => {
    check((given) => {
      const { settlement, truth, record } = play(given);
      const states = record.expected.map((instance) => truth.get(instance));
      const failed = states.filter((state) => state && isEnding(state) && state !== 'succeeded').length;
      const good = states.filter((state) => state === 'succeeded').length;
      if (settlement.outcome !== 'succeeded') return;
      expect(settlement.moveDesired).toBe(true);
      expect(good).toBeGreaterThan(0);
      expect(failed).toBeLessThanOrEqual(given.policy.maxFailures);
      expect(states.length - failed - good).toBeLessThanOrEqual(given.policy.allowMissing);
    });
  });

  test('moves the desired state only when it succeeds, and rolls back only if an instance may have switched', () => {
    check((given) => {
      const { settlement, record } = play(given);
      expect(settlement.moveDesired).toBe(settlement.outcome === 'succeeded');
      if (settlement.rollBack) {
        // What the record says was announced counts: a publisher may have died before it announced it.
        expect(record.rolling.waves.some((wave) => wave.announcedAt)).toBe(true);
        expect(given.policy.onFailure).toBe('rollback');
        expect(['failed', 'cancelled']).toContain(settlement.outcome);
      }
      if (settlement.outcome === 'failed' && given.policy.onFailure === 'rollback') {
        const { truth, record } = play(given);
        const runsIt = record.expected.some((instance) => truth.get(instance) === 'succeeded');
        if (runsIt) expect(settlement.rollBack).toBe(true);
      }
    });
  });

  test('announces no wave after a canary, or a larger wave, in which no instance succeeded', () => {
    check((given) => {
      const { announcements, record, truth } = play(given);
      const last = Math.max(...announcements.map(({ wave }) => wave));
      const passed = record.rolling.waves.slice(0, Math.max(0, last));
      const good = passed.map(({ instances }) => instances.some((one) => truth.get(one) === 'succeeded'));
      for (const [i, { kind, instances }] of passed.entries()) {
        const mayFail = kind === 'batch' && instances.length === 1 && good.slice(0, i).includes(true);
        expect(good[i] || mayFail).toBe(true);
      }
    });
  });

  test('waits for a timer only after a canary, and before another wave', () => {
    check((given) => {
      const { states } = play(given);
      if (given.gate !== 'time') return;
      const [waiting] = states.filter(({ awaitingSince }) => awaitingSince !== undefined);
      if (waiting === undefined) return;
      expect(waiting.waves[0]?.kind).toBe('canary');
      expect(waiting.waves.length).toBeGreaterThan(1);
      expect(waiting.waves[0]?.passedAt).toBeDefined();
    });
  });

  test('passes its gate only once, and never with an unhealthy canary', () => {
    check((given) => {
      const { settlement, announcements, record, truth } = play(given);
      if (given.gate === 'none' || given.waves[0]?.kind !== 'canary' || given.waves.length < 2) return;
      const beyond = announcements.some(({ phase, wave }) => phase === 'wave' && wave > 0);
      if (!beyond) return;
      expect(record.rolling.confirmed?.by).toBe(given.gate === 'person' ? 'ann' : 'time');
      const canary = record.rolling.waves[0]?.instances ?? [];
      const ran = canary.some((instance) => truth.get(instance) === 'succeeded');
      if (given.unwell && ran) expect(settlement.outcome).not.toBe('succeeded');
    });
  });
});
