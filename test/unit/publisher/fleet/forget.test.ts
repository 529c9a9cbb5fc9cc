import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isEc2Id } from '../../../../publisher/fleet/ec2.ts';
import { type ForgetRules, forgottenOf, type LastWrites } from '../../../../publisher/fleet/forget.ts';

const HOUR = 3_600_000;
const NOW = Date.parse('2026-11-28T12:00:00Z');
const rules = (change: Partial<ForgetRules> = {}): ForgetRules => ({
  ...{ now: NOW, forgetAfterMs: HOUR, forgetAtMost: { percent: 25 }, answered: new Set(['i-00000001']) },
  ...change,
});
/** `wrote({ 'i-a': 2 })`: a heartbeat two hours ago. */
const wrote = (hours: Record<string, number>, more: Partial<LastWrites> = {}) =>
  new Map<string, LastWrites>(
    Object.entries(hours).map(([instance, ago]) => [
      instance,
      { heartbeat: NOW - ago * HOUR, record: NOW - 1000 * HOUR, ...more },
    ]),
  );
const ec2 = (states: Record<string, string>, knowsFleet = true) => ({
  states: new Map(Object.entries(states)),
  knowsFleet,
});
const forgotten = (
  silent: string[],
  writes: Map<string, LastWrites>,
  word?: ReturnType<typeof ec2>,
  change: Partial<ForgetRules> = {},
) => forgottenOf(silent, { writes, ec2: word, isEc2Id }, rules(change));
const named = (...args: Parameters<typeof forgotten>) =>
  forgotten(...args).forgotten.map(({ instance, why }) => `${instance} ${why}`);

const GONE = 'i-000000000000000aa';

describe('silence', () => {
  test('of an hour is not waited for, and what was heard of within the hour is', () => {
    expect(named(['old', 'new'], wrote({ old: 1, new: 0.99 }))).toEqual(['old silent']);
  });
  test('is none where the record was written since the last heartbeat', () => {
    expect(named(['a'], wrote({ a: 2 }, { record: NOW - HOUR / 2 }))).toEqual([]);
  });
  test('of an agent without heartbeats proves nothing', () => {
    expect(named(['a'], wrote({ a: 2 }, { heartbeat: undefined }))).toEqual([]);
    expect(named(['a'], new Map())).toEqual([]);
  });
  test('of an instance that has answered is none', () => {
    expect(named(['a'], wrote({ a: 2 }), undefined, { answered: new Set(['a', 'b']) })).toEqual([]);
  });
  test('where nobody has answered removes nobody', () => {
    expect(named(['a'], wrote({ a: 9 }), undefined, { answered: new Set() })).toEqual([]);
  });
  test('never counts with forgetAfter: never', () => {
    const forgetAfterMs = Number.POSITIVE_INFINITY;
    expect(named(['a'], wrote({ a: 99 }), undefined, { forgetAfterMs })).toEqual([]);
  });
  test('of half of a fleet is waited for, as a whole', () => {
    const { forgotten: none, tooMany } = forgotten(['a', 'b'], wrote({ a: 2, b: 2 }), undefined, {
      answered: new Set(['c', 'd']),
    });
    expect([none, tooMany]).toEqual([[], ['a', 'b']]);
  });
  test('of one instance is always allowed while another one answers', () => {
    expect(named(['a'], wrote({ a: 2 }))).toEqual(['a silent']);
  });
});

describe("EC2's word", () => {
  test.each(['terminated', 'shutting-down'])('%s is believed at once, whatever else is known', (state) => {
    expect(named([GONE], wrote({ [GONE]: 0 }), ec2({ [GONE]: state }))).toEqual([`${GONE} terminated`]);
    expect(named([GONE], new Map(), ec2({ [GONE]: state }), { answered: new Set() })).toEqual([
      `${GONE} terminated`,
    ]);
  });
  test.each(['running', 'pending'])(
    '%s is believed, too: it is waited for, however long it was silent',
    (state) => {
      expect(named([GONE], wrote({ [GONE]: 50 }), ec2({ [GONE]: state }))).toEqual([]);
    },
  );
  test('stopped says nothing: the silence decides', () => {
    expect(named([GONE], wrote({ [GONE]: 2 }), ec2({ [GONE]: 'stopped' }))).toEqual([`${GONE} silent`]);
    expect(named([GONE], wrote({ [GONE]: 0.5 }), ec2({ [GONE]: 'stopped' }))).toEqual([]);
  });
  test('that it does not know an instance is believed half an hour after its last write', () => {
    const never = { forgetAfterMs: Number.POSITIVE_INFINITY };
    expect(named([GONE], wrote({ [GONE]: 0.5 }), ec2({}), never)).toEqual([`${GONE} unknown`]);
    expect(named([GONE], wrote({ [GONE]: 0.49 }), ec2({}), never)).toEqual([]);
  });
  test('that it does not know an instance counts for nothing in an account that does not know the fleet', () => {
    expect(named([GONE], wrote({ [GONE]: 0.6 }), ec2({}, false))).toEqual([]);
  });
  test('counts for no name that is no id of EC2', () => {
    expect(named(['web-1'], wrote({ 'web-1': 0.6 }), ec2({}))).toEqual([]);
  });
  test('is not bounded: a fleet that was replaced holds nothing up', () => {
    const old = Array.from({ length: 20 }, (_, i) => `i-${String(i).padStart(8, '0')}`);
    const states = Object.fromEntries(old.map((id) => [id, 'terminated']));
    expect(named(old, new Map(), ec2(states), { answered: new Set(['i-ffffffff']) })).toHaveLength(20);
  });
});

test('whatever is asked: who answered within forgetAfter, or runs for EC2, is waited for; silence removes a quarter', () => {
  const state = fc.constantFrom(undefined, 'running', 'pending', 'stopped', 'terminated', 'shutting-down');
  const one = fc.record({ ago: fc.double({ min: 0, max: 4, noNaN: true }), state, beats: fc.boolean() });
  fc.assert(
    fc.property(
      fc.array(one, { maxLength: 20 }),
      fc.integer({ min: 0, max: 20 }),
      fc.boolean(),
      (silent, count, knowsFleet) => {
        const ids = silent.map((_, i) => `i-${String(i).padStart(8, '0')}`);
        const answered = new Set(Array.from({ length: count }, (_, i) => `i-f${String(i).padStart(7, '0')}`));
        const writes = new Map(
          silent.map(({ ago, beats }, i) => [
            ids[i] ?? '',
            { heartbeat: beats ? NOW - ago * HOUR : undefined, record: NOW - ago * HOUR },
          ]),
        );
        const states = new Map(silent.flatMap(({ state: is }, i) => (is ? [[ids[i] ?? '', is]] : [])));
        const found = forgottenOf(
          ids,
          { writes, ec2: { states, knowsFleet }, isEc2Id },
          rules({ answered }),
        ).forgotten;
        for (const { instance, why } of found) {
          const { ago, state: is, beats } = silent[ids.indexOf(instance)] ?? { ago: 0 };
          if (is === 'running' || is === 'pending') return false;
          if (why === 'terminated' && is !== 'terminated' && is !== 'shutting-down') return false;
          if (why === 'unknown' && (is !== undefined || ago < 0.5 || !knowsFleet)) return false;
          if (why === 'silent' && (ago < 1 || !beats)) return false;
        }
        const quiet = found.filter(({ why }) => why === 'silent').length;
        const left = count + ids.length - (found.length - quiet);
        return quiet === 0 || (count > 0 && quiet <= Math.max(1, Math.floor(left / 4)));
      },
    ),
  );
});
