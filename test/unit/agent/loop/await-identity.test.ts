import { expect, onTestFinished, test } from 'vitest';
import type { Identity } from '../../../../agent/deploy/ports.ts';
import { identifyPatiently } from '../../../../agent/loop/await-identity.ts';
import { silentLog } from '../../../../shared/log.ts';
import { IDENTITY } from '../../../support/fleet/fake-ports.ts';
import { heldClock } from '../../../support/host/clock.ts';

const MINUTE = 60_000;

/** An agent of which nobody says who it is, on a clock that the test puts forward; what systemd is told meanwhile. */
function unknownInstance(identify: (signal: AbortSignal) => Promise<Identity>) {
  const { clock, putForward } = heldClock();
  const told: string[] = [];
  const fed: number[] = [];
  const notifier = {
    ready: async () => void told.push('ready'),
    status: (text: string) => void told.push(text),
    watchdog: () => void fed.push(clock.monotonic()),
    extend: () => {},
    stopping: () => {},
    watchdogMs: 2 * MINUTE,
  };
  const stopping = new AbortController();
  const identified = identifyPatiently(identify, { notifier, clock, log: silentLog() }, stopping.signal);
  onTestFinished(() => stopping.abort());
  return { identified, putForward, told, fed, stopping };
}

const noMetadata = async () => {
  throw new Error('no instance metadata');
};

test('who is known at once is told nothing of, and nothing is fed', async () => {
  const { identified, told, fed } = unknownInstance(async () => IDENTITY);
  expect(await identified).toBe(IDENTITY);
  expect([told, fed]).toEqual([[], []]);
});

test('without metadata the agent is ready, says what it waits for, and feeds the watchdog', async () => {
  const { putForward, told, fed } = unknownInstance(noMetadata);
  await putForward(60 * MINUTE - 1);
  expect(new Set(told)).toEqual(new Set(['ready', 'waiting for the instance metadata']));
  expect(fed).toEqual(Array.from({ length: 90 }, (_, i) => i * 40_000));
});

test('metadata that neither answers nor fails is fed for no more than five minutes', async () => {
  let tries = 0;
  const { putForward, fed } = unknownInstance(async (signal) => {
    tries += 1;
    if (tries > 1) await new Promise((_, reject) => signal.addEventListener('abort', reject));
    return await noMetadata();
  });
  await putForward(60 * MINUTE);
  expect(fed.length).toBeGreaterThan(0);
  expect(fed.at(-1)).toBeLessThan(6 * MINUTE);
});

test('metadata that comes late is the answer, and nothing is fed any more', async () => {
  let tries = 0;
  const { identified, putForward, fed } = unknownInstance(async () => {
    tries += 1;
    return tries > 5 ? IDENTITY : await noMetadata();
  });
  await putForward(10 * MINUTE);
  expect(await identified).toBe(IDENTITY);
  const before = fed.length;
  await putForward(10 * MINUTE);
  expect(fed).toHaveLength(before);
});

test('a stop ends the wait, between two tries and in the midst of one, and is no error', async () => {
  const between = unknownInstance(noMetadata);
  await between.putForward(10 * MINUTE);
  between.stopping.abort(new Error('stopped'));
  expect(await between.identified).toBeUndefined();

  const within = unknownInstance(
    (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  );
  await within.putForward(0);
  within.stopping.abort(new Error('stopped'));
  expect(await within.identified).toBeUndefined();
});
