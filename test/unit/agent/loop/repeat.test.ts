import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { expect, test } from 'vitest';
import { repeat } from '../../../../agent/loop/repeat.ts';
import type { Clock } from '../../../../shared/clock.ts';

/** Runs work with these outcomes, one after the other, and returns what was logged above debug. */
async function logged(outcomes: readonly ('well' | string)[], passing = 1000): Promise<string[]> {
  const lines: string[] = [];
  const log = pino(
    { level: 'info', formatters: { level: (label) => ({ level: label }) } },
    { write: (line) => void lines.push(line) },
  );
  let now = 1000;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    async sleep(_ms, signal) {
      now += passing;
      await sleep(0, undefined, { signal });
    },
  };
  const stopping = new AbortController();
  const left = [...outcomes];
  await repeat({ clock, log }, stopping.signal, 'receiving', async () => {
    const outcome = left.shift();
    if (left.length === 0) stopping.abort();
    if (outcome !== 'well') throw new Error(outcome);
    return 0;
  });
  return lines.map((line) => {
    const { level, msg } = JSON.parse(line);
    return `${level} ${msg}`;
  });
}

test('an outage is logged once at its start and once at its end', async () => {
  expect(await logged(['well', 'no answer', 'no answer', 'no answer', 'well', 'well', 'well'])).toEqual([
    'warn receiving failed: no answer',
    'info receiving works again after 3.0 s',
  ]);
});

test('a different failure is logged too, and the next outage like the first', async () => {
  expect(await logged(['no answer', 'refused', 'well', 'refused', 'well', 'well'])).toEqual([
    'warn receiving failed: no answer',
    'warn receiving failed: refused',
    'info receiving works again after 2.0 s',
    'warn receiving failed: refused',
    'info receiving works again after 1.0 s',
  ]);
});

test('a long outage is logged again at intervals', async () => {
  const lines = await logged([...Array(8).fill('no answer'), 'well'], 4 * 60_000);
  expect(lines.filter((line) => line.startsWith('warn'))).toHaveLength(3);
});
