import { setTimeout as sleep } from 'node:timers/promises';
import pino from 'pino';
import { expect, test } from 'vitest';
import { repeat } from '../../../../agent/loop/repeat.ts';
import type { Clock } from '../../../../shared/clock.ts';

/** Runs work that comes out as `outcomes` say, one after the other; what was logged above debug, and when it ended. */
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

test('an outage is told when it begins and when it is over, once each', async () => {
  expect(await logged(['well', 'no answer', 'no answer', 'no answer', 'well', 'well', 'well'])).toEqual([
    'warn receiving failed: no answer',
    'info receiving works again after 3.0 s',
  ]);
});

test('another failure is told, too, and the next outage like the first', async () => {
  expect(await logged(['no answer', 'refused', 'well', 'refused', 'well', 'well'])).toEqual([
    'warn receiving failed: no answer',
    'warn receiving failed: refused',
    'info receiving works again after 2.0 s',
    'warn receiving failed: refused',
    'info receiving works again after 1.0 s',
  ]);
});

test('one that lasts is told again now and then', async () => {
  const lines = await logged([...Array(8).fill('no answer'), 'well'], 4 * 60_000);
  expect(lines.filter((line) => line.startsWith('warn'))).toHaveLength(3);
});
