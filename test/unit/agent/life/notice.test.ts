import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Notice, noticeOf, recordOf, understand } from '../../../../agent/life/notice.ts';

const NOTHING = { spot: undefined, rebalance: undefined, target: undefined };
const NOW = Date.UTC(2026, 0, 1);
const IN_TWO_MINUTES = NOW + 120_000;
const WITHIN = 900_000;
const spot = (action: string, at = IN_TWO_MINUTES) =>
  JSON.stringify({ action, time: new Date(at).toISOString() });

function decide(
  readings: Partial<Parameters<typeof understand>[0]>,
  { before, wasInService = true, now = NOW }: { before?: Notice; wasInService?: boolean; now?: number } = {},
) {
  return noticeOf(understand({ ...NOTHING, ...readings }), { before, wasInService, now, within: WITHIN });
}

describe('the metadata', () => {
  test('without anything means that the instance stays', () => {
    expect(understand(NOTHING)).toEqual({ ...NOTHING, unknown: [], isDoubtful: false });
    expect(decide({})).toBeUndefined();
  });

  test.each([
    ['terminate', true],
    ['stop', false],
    ['hibernate', false],
  ])('that a spot instance is to %s ends it 5 s before that time', (action, final) => {
    expect(decide({ spot: spot(action) })).toEqual({
      ...{ kind: `spot-${action}`, final, hook: false, since: NOW },
      ...{ at: IN_TWO_MINUTES, deadline: IN_TWO_MINUTES - 5000 },
    });
  });

  test('with a time that a record could not have is not understood', () => {
    for (const time of ['9999-12-31T23:59:59-23:59', '0000-01-01T00:00:00+23:59']) {
      const seen = understand({
        ...{ spot: JSON.stringify({ action: 'stop', time }), target: undefined },
        rebalance: JSON.stringify({ noticeTime: time }),
      });
      expect(seen).toMatchObject({ spot: undefined, rebalance: undefined, isDoubtful: true });
    }
  });

  test.each(['Terminated', 'Warmed:Terminated'])('with the target %s is a scale-in', (target) => {
    expect(decide({ target })).toEqual({
      ...{ kind: 'scale-in', final: true, hook: true, since: NOW, deadline: NOW + WITHIN },
    });
  });

  test.each(['InService', 'Standby', 'Detached'])('with the target %s means that it stays', (target) => {
    expect(decide({ target })).toBeUndefined();
  });

  test('with a target in the warm pool ends an instance that was in service, and no new one', () => {
    for (const target of ['Warmed:Stopped', 'Warmed:Hibernated', 'Warmed:Running']) {
      expect(decide({ target })).toMatchObject({ kind: 'warm-pool', final: false, hook: true });
      expect(decide({ target }, { wasInService: false })).toBeUndefined();
    }
  });

  test('of which one does not come back decides, with the earliest time; the group waits all the same', () => {
    expect(decide({ spot: spot('terminate'), target: 'Terminated' })).toMatchObject({
      ...{ kind: 'spot-terminate', final: true, hook: true, deadline: IN_TWO_MINUTES - 5000 },
    });
    expect(decide({ spot: spot('stop'), target: 'Terminated' })).toMatchObject({
      ...{ kind: 'scale-in', final: true, hook: true },
    });
    expect(decide({ spot: spot('stop'), target: 'Warmed:Stopped' })).toMatchObject({
      ...{ kind: 'spot-stop', final: false, hook: true },
    });
  });

  test('keeps the time of its first notice', () => {
    const before = decide({ target: 'Terminated' }) as Notice;
    expect(decide({ target: 'Terminated' }, { before, now: NOW + 60_000 })).toEqual(before);
  });

  test('with a time far away does not make the end longer than allowed', () => {
    expect(decide({ spot: spot('terminate', NOW + 1e12) })?.deadline).toBe(NOW + WITHIN);
  });

  test('with a rebalance recommendation is a notice, and no end', () => {
    const seen = understand({ ...NOTHING, rebalance: '{"noticeTime":"2026-01-01T00:00:00Z"}' });
    expect(decide({ rebalance: '{"noticeTime":"2026-01-01T00:00:00Z"}' })).toBeUndefined();
    expect(recordOf(undefined, seen.rebalance)).toEqual({
      ...{ kind: 'rebalance', terminating: false, since: '2026-01-01T00:00:00.000Z' },
    });
  });

  test('of any other text is named, bounded, and changes nothing', () => {
    const garbage = fc.oneof(fc.string({ maxLength: 300 }), fc.json(), fc.constant('<html>log in</html>'));
    fc.assert(
      fc.property(garbage, garbage, garbage, (one, two, three) => {
        fc.pre(!['Terminated', 'InService'].includes(three));
        const seen = understand({ spot: one, rebalance: two, target: three });
        expect(
          noticeOf(seen, { before: undefined, wasInService: true, now: NOW, within: WITHIN }),
        ).toBeUndefined();
        expect(seen.unknown.every((text) => text.length < 400)).toBe(true);
      }),
    );
  });
});
