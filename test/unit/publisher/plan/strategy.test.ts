import { expect, it } from 'vitest';
import type { Environment } from '../../../../publisher/config/load.ts';
import { type Strategy, strategyOf } from '../../../../publisher/plan/strategy.ts';
import { rollingFor } from '../../../../publisher/plan/waves.ts';

const strategy: Extract<Strategy, { name: 'rolling' }> = {
  ...{ name: 'rolling', canary: { count: 1 }, batch: { percent: 25 } },
  ...{ gate: 'time', autoConfirmMs: 600_000, pauseBetweenMs: 0 },
};
const fleet = (size: number) => Array.from({ length: size }, (_, i) => ({ instance: `i-${i}` }));

it('a timer opens the gate after a canary, if more instances follow', () => {
  expect(rollingFor(fleet(2), strategy)).toMatchObject({ gate: 'time', autoConfirmMs: 600_000 });
});

it('there is no timer for one instance, or without a canary', () => {
  for (const rolling of [
    rollingFor(fleet(1), strategy),
    rollingFor(fleet(4), { ...strategy, canary: undefined }),
    rollingFor(fleet(4), { ...strategy, canary: { percent: 100 } }),
  ]) {
    expect(rolling.gate).toBe('none');
    expect(rolling.autoConfirmMs).toBeUndefined();
  }
});

it('a person confirms one instance, too', () => {
  expect(rollingFor(fleet(1), { ...strategy, gate: 'person', autoConfirmMs: undefined }).gate).toBe('person');
});

it('with automatic checks, all instances at once is one wave after which they are made, unless they are skipped', () => {
  const services = { payments: { verify: { run: ['smoke'] } } };
  const env = { services } as unknown as Environment;
  const wave = {
    name: 'rolling',
    batch: { percent: 100 },
    gate: 'none',
    autoConfirmMs: undefined,
    pauseBetweenMs: 0,
  };
  expect(strategyOf(env, 'payments', {})).toEqual(wave);
  expect(strategyOf(env, 'payments', { strategy: 'all' })).toEqual(wave);
  expect(strategyOf(env, 'payments', { skipChecks: true })).toEqual({ name: 'all' });
  expect(strategyOf(env, 'billing', {})).toEqual({ name: 'all' });
  expect(strategyOf({ ...env, confirm: 'person' }, 'payments', {})).toEqual({ ...wave, gate: 'person' });
});
