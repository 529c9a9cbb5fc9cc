import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Member, parseSize, planWaves, type Size, sizeOf } from '../../../../publisher/plan/waves.ts';

const size: fc.Arbitrary<Size> = fc.oneof(
  fc.record({ count: fc.integer({ min: 1, max: 40 }) }),
  fc.record({ percent: fc.integer({ min: 1, max: 100 }) }),
);
const fleet: fc.Arbitrary<Member[]> = fc
  .array(fc.constantFrom('a', 'b', 'c', undefined), { maxLength: 60 })
  .map((zones) => zones.map((zone, i) => ({ instance: `i-${i}`, zone })));
const sizes = fc.record({ canary: fc.option(size, { nil: undefined }), batch: size });

describe('the waves', () => {
  test('have every instance exactly once, and no wave is empty', () => {
    fc.assert(
      fc.property(fleet, sizes, (members, wanted) => {
        const waves = planWaves(members, wanted);
        expect(waves.flatMap((wave) => wave.instances).sort()).toEqual(
          members.map(({ instance }) => instance).sort(),
        );
        expect(waves.every((wave) => wave.instances.length > 0)).toBe(true);
      }),
    );
  });

  test('begin with the canary, if there is one, and none is larger than its size', () => {
    fc.assert(
      fc.property(fleet, sizes, (members, wanted) => {
        const waves = planWaves(members, wanted);
        const kinds = waves.map((wave) => wave.kind);
        expect(kinds.lastIndexOf('canary')).toBe(
          wanted.canary === undefined || members.length === 0 ? -1 : 0,
        );
        for (const wave of waves) {
          const most = wave.kind === 'canary' ? (wanted.canary as Size) : wanted.batch;
          expect(wave.instances.length).toBeLessThanOrEqual(sizeOf(most, members.length));
        }
      }),
    );
  });

  test('take the same share of each zone, give or take one instance', () => {
    fc.assert(
      fc.property(fleet, sizes, (members, wanted) => {
        const zoneOf = new Map(members.map(({ instance, zone }) => [instance, zone]));
        for (const { instances } of planWaves(members, wanted)) {
          for (const zone of new Set(zoneOf.values())) {
            const there = instances.filter((instance) => zoneOf.get(instance) === zone).length;
            const inAll = members.filter((member) => member.zone === zone).length;
            expect(Math.abs(there - (instances.length * inAll) / members.length)).toBeLessThan(2);
          }
        }
      }),
    );
  });

  test('are the same for the same instances in another order', () => {
    fc.assert(
      fc.property(fleet, sizes, (members, wanted) => {
        expect(planWaves(members.toReversed(), wanted)).toEqual(planWaves(members, wanted));
      }),
    );
  });

  test('of five in three zones, one canary and half at a time', () => {
    const zones = ['a', 'a', 'b', 'b', 'c'];
    const members = zones.map((zone, i) => ({ instance: `i-${i}`, zone }));
    expect(planWaves(members, { canary: { count: 1 }, batch: { percent: 50 } })).toEqual([
      { kind: 'canary', instances: ['i-0'] },
      { kind: 'batch', instances: ['i-2', 'i-4'] },
      { kind: 'batch', instances: ['i-1', 'i-3'] },
    ]);
  });
});

describe('a size', () => {
  test.each([
    ['4', { count: 4 }],
    ['25%', { percent: 25 }],
    ['100%', { percent: 100 }],
    ['0', undefined],
    ['0%', undefined],
    ['101%', undefined],
    ['-1', undefined],
    ['half', undefined],
    ['2.5', undefined],
  ])('%j is %j', (text, meant) => expect(parseSize(text)).toEqual(meant));

  test('a percentage is rounded down, and at least one instance', () => {
    expect([1, 3, 4, 7, 100].map((all) => sizeOf({ percent: 25 }, all))).toEqual([1, 1, 1, 1, 25]);
  });
});
