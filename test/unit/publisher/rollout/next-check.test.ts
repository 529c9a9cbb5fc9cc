import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planWaves } from '../../../../publisher/plan/waves.ts';
import type { Checks, VerifyRun } from '../../../../publisher/record/check-schema.ts';
import { FRESH_MS } from '../../../../publisher/rollout/next-check.ts';
import { nextStep, type RollingRecord, settleUndriven } from '../../../../publisher/rollout/next-step.ts';
import type { Report } from '../../../../shared/report.ts';

/**
 * A rollout on good instances, whose alarms and `verify` decide: simulated with pure steps, publishers that die, and
 * times in which CloudWatch does not answer.
 */

const SECOND = 1000;
const POLL = 15 * SECOND;

interface World {
  instances: number;
  canary: boolean;
  batch: number;
  watchMs: number;
  hasAlarms: boolean;
  hasVerify: boolean;
  skipped: boolean;
  onFailure: 'rollback' | 'stop';
  /** When an alarm goes off, s since the begin; it stays. */
  alarmAt: number | undefined;
  /** From when on CloudWatch does not answer, and for how long, s. */
  silence: { from: number; s: number } | undefined;
  passes: Record<VerifyRun['phase'], boolean>;
  /** How long `verify` runs, s. */
  verifyS: number;
  /** After how many turns the publisher dies, again and again. */
  deaths: number[];
}

const world: fc.Arbitrary<World> = fc.record({
  instances: fc.integer({ min: 1, max: 6 }),
  canary: fc.boolean(),
  batch: fc.integer({ min: 1, max: 3 }),
  watchMs: fc.constantFrom(0, 20 * SECOND, 300 * SECOND),
  hasAlarms: fc.boolean(),
  hasVerify: fc.boolean(),
  skipped: fc.boolean(),
  onFailure: fc.constantFrom('rollback' as const, 'stop' as const),
  alarmAt: fc.option(fc.integer({ min: 0, max: 500 }), { nil: undefined }),
  silence: fc.option(
    fc.record({ from: fc.integer({ min: 0, max: 400 }), s: fc.integer({ min: 1, max: 200 }) }),
    {
      nil: undefined,
    },
  ),
  passes: fc.record({ canary: fc.boolean(), last: fc.boolean() }),
  verifyS: fc.integer({ min: 0, max: 60 }),
  deaths: fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 4 }),
});

function play(given: World) {
  const names = Array.from({ length: given.instances }, (_, i) => `i-${i}`);
  const checks: Checks = {
    alarms: given.hasAlarms ? [{ name: '5xx', insufficientData: 'ignore' }] : [],
    watchAlarmsMs: given.watchMs,
    ...(given.hasVerify && { verify: { run: ['smoke'], timeoutMs: 60_000 } }),
    ...(given.skipped && { skipped: true as const }),
  };
  const fleet = names.map((instance) => ({ instance }));
  const sizes = { canary: given.canary ? { count: 1 } : undefined, batch: { count: given.batch } };
  const record: RollingRecord = {
    ...{ version: '2', previous: '1', action: 'deploy', expected: names, desiredFirst: false, checks },
    policy: { maxFailures: 0, allowMissing: 0, onFailure: given.onFailure, timeoutMs: 60_000 },
    rolling: {
      ...{ waves: planWaves(fleet, sizes).map((wave) => ({ ...wave })), failed: [], missing: [] },
      ...{ gate: 'none', pauseBetweenMs: 30_000 },
    },
  };
  const reports = new Map<string, Report>();
  const begin = 1_000_000_000;
  let now = begin;
  const seconds = () => (now - begin) / SECOND;
  let announced: number | undefined;
  let read: { at: number; since: number; isAlarm: boolean } | undefined;
  let verify: VerifyRun | undefined;
  let verifyEnds = 0;
  const waves: { wave: number; at: number; afterAlarm: boolean; verified: boolean }[] = [];
  const reads: number[] = [];
  let runs = 0;
  let sawAlarm = false;
  let isAsked = false;
  const deaths = [...given.deaths];
  let life = 0;
  const isSilent = () =>
    given.silence !== undefined &&
    seconds() >= given.silence.from &&
    seconds() < given.silence.from + given.silence.s;
  const look = () => {
    if (isSilent() || (read !== undefined && now - read.at < POLL && !isAsked)) return;
    isAsked = false;
    const isSteady = read !== undefined && now - read.at <= FRESH_MS;
    const isAlarm = given.alarmAt !== undefined && seconds() >= given.alarmAt;
    read = { at: now, since: isSteady && read ? read.since : now, isAlarm };
    reads.push(now);
  };
  for (let turn = 0; turn < 20_000; turn += 1, life += 1) {
    if (deaths[0] !== undefined && life > deaths[0]) {
      deaths.shift();
      life = 0;
      [announced, read, verify] = [undefined, undefined, undefined];
      now += 50 * SECOND;
    }
    look();
    if (verify !== undefined && verify.endedAt === undefined && now >= verifyEnds) {
      verify = { ...verify, endedAt: new Date(now).toISOString(), passed: given.passes[verify.phase] };
    }
    sawAlarm ||= read?.isAlarm ?? false;
    const failed = read?.isAlarm ? [{ name: '5xx', state: 'ALARM' }] : [];
    const step = nextStep(record, {
      ...{ now, reports, sinceAnnounced: announced === undefined ? undefined : now - announced },
      alarms:
        read && given.hasAlarms ? { ageMs: now - read.at, steadyMs: now - read.since, failed } : undefined,
      verify,
    });
    if (step.do === 'end') {
      return { settlement: step.settlement, record, waves, reads, runs, sawAlarm, endedAt: now };
    }
    if (step.do === 'record') {
      announced = undefined;
      record.rolling = step.rolling;
      if ('checked' in step) record.checked = step.checked;
    } else if (step.do === 'verify') {
      runs += 1;
      verify = { phase: step.phase, startedAt: new Date(now).toISOString() };
      verifyEnds = now + given.verifyS * SECOND;
    } else if (step.do === 'announce') {
      announced = now;
      const isWave = step.phase.name === 'wave';
      for (const instance of step.targets)
        reports.set(instance, reportOf(instance, isWave ? 'succeeded' : 'prepared'));
      const verified =
        record.checked?.verify?.some(({ phase, passed }) => phase === 'canary' && passed) ?? false;
      if (step.phase.name === 'wave')
        waves.push({ wave: step.phase.wave, at: now, afterAlarm: given.hasAlarms && sawAlarm, verified });
    } else {
      if ('ask' in step && read !== undefined) isAsked = true;
      now += SECOND;
    }
  }
  throw new Error('it never ends');
}

function reportOf(instance: string, state: Report['state']): Report {
  return {
    ...{ kind: 'report', v: 1, deployment: '01JZZZZZZZZZZZZZZZZZZZZZZA', env: 'dev', service: 'payments' },
    ...{ instance, sequence: 1, n: 0, at: new Date(0).toISOString(), state, version: '2', timings: {} },
  };
}

const check = (property: (given: World) => void) => fc.assert(fc.property(world, property), { numRuns: 300 });

describe('a rollout with automatic checks, whenever its publisher dies and CloudWatch is silent', () => {
  test('ends, and moves the desired state only when it succeeded', () => {
    check((given) => {
      const { settlement } = play(given);
      expect(settlement.moveDesired).toBe(settlement.outcome === 'succeeded');
      expect(['succeeded', 'failed']).toContain(settlement.outcome);
    });
  });

  test('succeeds only after the command has passed after the canary and after the last wave', () => {
    check((given) => {
      const { settlement, record, runs } = play(given);
      if (given.skipped || !given.hasVerify) expect(runs).toBe(0);
      if (given.skipped || !given.hasVerify) return;
      if (settlement.outcome !== 'succeeded') return;
      const hasCanary = record.rolling.waves[0]?.kind === 'canary' && record.rolling.waves.length > 1;
      const passed = record.checked?.verify?.filter((run) => run.passed).map(({ phase }) => phase);
      expect(passed?.sort()).toEqual(hasCanary ? ['canary', 'last'] : ['last']);
    });
  });

  test('starts no wave after the canary before the command has passed', () => {
    check((given) => {
      if (given.skipped || !given.hasVerify || !given.canary) return;
      for (const { wave, verified } of play(given).waves) if (wave > 0) expect(verified).toBe(true);
    });
  });

  test('starts no wave once an alarm was seen, fails, and takes back what has switched', () => {
    check((given) => {
      const { settlement, waves, sawAlarm, record } = play(given);
      if (given.skipped || !given.hasAlarms || !sawAlarm) return;
      expect(waves.filter(({ afterAlarm }) => afterAlarm)).toEqual([]);
      expect(settlement.outcome).toBe('failed');
      const hasSwitched = record.rolling.waves.some(({ announcedAt }) => announcedAt !== undefined);
      expect(settlement.rollBack).toBe(hasSwitched && given.onFailure === 'rollback');
    });
  });

  test('succeeds only after the alarms were OK for the whole watch, read again and again', () => {
    check((given) => {
      const { settlement, record, reads, endedAt } = play(given);
      if (given.skipped || !given.hasAlarms || settlement.outcome !== 'succeeded') return;
      const last = Date.parse(record.rolling.waves.at(-1)?.passedAt ?? '');
      expect(endedAt - last).toBeGreaterThanOrEqual(given.watchMs);
      const inWatch = reads.filter((at) => at >= endedAt - given.watchMs - FRESH_MS);
      const gaps = [...inWatch, endedAt].map((at, i, all) => at - (all[i - 1] ?? at));
      expect(Math.max(...gaps)).toBeLessThanOrEqual(FRESH_MS + SECOND);
      expect(endedAt - (reads.at(-1) ?? 0)).toBeLessThanOrEqual(FRESH_MS);
    });
  });

  test('starts no further wave before it has read the alarms after the wave before', () => {
    check((given) => {
      const { waves, record, reads } = play(given);
      if (given.skipped || !given.hasAlarms) return;
      for (const { wave, at } of waves.filter((one) => one.wave > 0)) {
        const before = Date.parse(record.rolling.waves[wave - 1]?.passedAt ?? '');
        expect(reads.some((read) => read >= before && read <= at)).toBe(true);
      }
    });
  });

  test('starts no wave on an answer of before the pause or the confirmation: it asks once more', () => {
    check((given) => {
      if (given.skipped || !given.hasAlarms) return;
      const { waves, reads } = play({ ...given, deaths: [] });
      for (const { at } of waves) {
        expect(reads.some((read) => read <= at && at - read <= 10 * SECOND)).toBe(true);
      }
    });
  });

  test('succeeds only on an answer that was asked for after the end of the watch', () => {
    check((given) => {
      const { settlement, record, reads } = play(given);
      if (given.skipped || !given.hasAlarms || settlement.outcome !== 'succeeded') return;
      const until = Date.parse(record.checked?.watchingSince ?? '') + given.watchMs;
      expect(reads.at(-1)).toBeGreaterThanOrEqual(until);
    });
  });

  test('records which command ran where another machine has another one', () => {
    const now = 1_000_000_000;
    const rolling = {
      failed: [],
      missing: [],
      gate: 'none',
      pauseBetweenMs: 0,
      preparedAt: new Date(now).toISOString(),
    };
    const passed = { announcedAt: new Date(now).toISOString(), passedAt: new Date(now).toISOString() };
    const record: RollingRecord = {
      ...{ version: '2', previous: '1', action: 'deploy', expected: ['i-0'], desiredFirst: false },
      checks: { alarms: [], watchAlarmsMs: 0, verify: { run: ['smoke'], timeoutMs: 60_000 } },
      policy: { maxFailures: 0, allowMissing: 0, onFailure: 'rollback', timeoutMs: 60_000 },
      rolling: { ...rolling, gate: 'none', waves: [{ kind: 'batch', instances: ['i-0'], ...passed }] },
    };
    const facts = { now, reports: new Map(), sinceAnnounced: undefined };
    const started = (run?: string[]) => ({
      phase: 'last',
      startedAt: new Date(now).toISOString(),
      ...(run && { run }),
    });
    expect(nextStep(record, { ...facts, otherVerify: ['true'] })).toMatchObject({
      checked: { verify: [started(['true'])] },
    });
    expect(nextStep(record, facts)).toMatchObject({ checked: { verify: [started()] } });
  });

  test('that skips them goes through, and says so', () => {
    check((given) => {
      const { settlement } = play({ ...given, skipped: true });
      expect(settlement).toMatchObject({ outcome: 'succeeded', moveDesired: true });
      expect(settlement.text).toContain('its checks were skipped');
    });
  });

  test('whose publisher has stopped has not succeeded while a check is open', () => {
    check((given) => {
      const { record, settlement } = play(given);
      if (given.skipped || !(given.hasAlarms || given.hasVerify) || settlement.outcome !== 'succeeded')
        return;
      const all = new Map(record.expected.map((one) => [one, reportOf(one, 'succeeded')]));
      const open = settleUndriven({ ...record, checked: {} }, all);
      expect(open).toMatchObject({ outcome: 'timed-out', moveDesired: false, rollBack: false });
      const verify: VerifyRun = {
        phase: 'last',
        startedAt: new Date(0).toISOString(),
        passed: false,
        why: 'exit code 3',
      };
      const failed = settleUndriven({ ...record, checked: { verify: [verify] } }, all);
      if (!given.hasVerify) return;
      expect(failed).toMatchObject({ outcome: 'failed', rollBack: given.onFailure === 'rollback' });
      expect(failed.text).toContain('verify after the last wave failed: exit code 3');
    });
  });
});
