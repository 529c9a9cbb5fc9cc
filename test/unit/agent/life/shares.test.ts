import { expect, test } from 'vitest';
import { type EndStep, shareOf } from '../../../../agent/life/shares.ts';

const STEPS: EndStep[] = ['settle', 'rollBack', 'drain', 'hooks', 'logs', 'deliver', 'leave'];

test('steps that use all of their shares leave time for the completion', () => {
  const deadline = 115_000;
  let now = 0;
  for (const step of STEPS) now += shareOf(step, now, deadline);
  expect(now).toBeLessThan(deadline);
  expect(deadline - now).toBeGreaterThan(1000);
});

test('what a step does not use is shared by those after it', () => {
  expect(shareOf('drain', 0, 115_000)).toBeGreaterThan(50_000);
  expect(shareOf('hooks', 0, 115_000)).toBeGreaterThan(60_000);
});

test('each step gets a second after the deadline, too', () => {
  for (const step of STEPS) expect(shareOf(step, 10_000, 0)).toBe(1000);
});
