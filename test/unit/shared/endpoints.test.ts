import { expect, test } from 'vitest';
import { NEVER } from '../../../shared/abort.ts';
import { reach } from '../../../shared/endpoints.ts';

test.each([
  [1999, 'answers'],
  [2000, 'slow'],
])('a service that answers after %d ms %s', async (took, state) => {
  const times = [0, took];
  const now = () => times.shift() ?? 0;
  const found = await reach('CloudWatch', 'eu-west-1', { signal: NEVER, now }, async () => undefined);
  expect(found.state).toBe(state);
  if (state === 'slow') expect(found.hint).toContain('com.amazonaws.eu-west-1.monitoring');
});
