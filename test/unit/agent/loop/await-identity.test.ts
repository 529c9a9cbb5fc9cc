import { expect, onTestFinished, test } from 'vitest';
import type { Identity } from '../../../../agent/deploy/ports.ts';
import { awaitIdentity } from '../../../../agent/loop/await-identity.ts';
import { silentLog } from '../../../../shared/log.ts';
import { IDENTITY } from '../../../support/fleet/fake-ports.ts';
import { heldClock } from '../../../support/host/clock.ts';

const MINUTE = 60_000;

/** An agent without an identity, on a clock that the test puts forward; `notified` is what systemd receives. */
function unknownInstance(identify: (signal: AbortSignal) => Promise<Identity>) {
  const { clock, putForward } = heldClock();
  const notified: string[] = [];
  const pings: number[] = [];
  const notifier = {
    ready: async () => void notified.push('ready'),
    status: (text: string) => void notified.push(text),
    watchdog: () => void pings.push(clock.monotonic()),
    extend: () => {},
    stopping: () => {},
    watchdogMs: 2 * MINUTE,
  };
  const stopping = new AbortController();
  const identified = awaitIdentity(identify, { notifier, clock, log: silentLog() }, stopping.signal);
  onTestFinished(() => stopping.abort());
  return { identified, putForward, notified, pings, stopping };
}

const noMetadata = async () => {
  throw new Error('no instance metadata');
};

test('an identity that is known at once sends nothing to systemd', async () => {
  const { identified, notified, pings } = unknownInstance(async () => IDENTITY);
  expect(await identified).toBe(IDENTITY);
  expect([notified, pings]).toEqual([[], []]);
});

test('without metadata the agent is ready, shows what it waits for, and pings the watchdog', async () => {
  const { putForward, notified, pings } = unknownInstance(noMetadata);
  await putForward(60 * MINUTE - 1);
  expect(new Set(notified)).toEqual(new Set(['ready', 'waiting for the instance metadata']));
  expect(pings).toEqual(Array.from({ length: 90 }, (_, i) => i * 40_000));
});

test('pings stop within five minutes of metadata that neither answers nor fails', async () => {
  let tries = 0;
  const { putForward, pings } = unknownInstance(async (signal) => {
    tries += 1;
    if (tries > 1) await new Promise((_, reject) => signal.addEventListener('abort', reject));
    return await noMetadata();
  });
  await putForward(60 * MINUTE);
  expect(pings.length).toBeGreaterThan(0);
  expect(pings.at(-1)).toBeLessThan(6 * MINUTE);
});

test('late metadata ends the wait and the pings', async () => {
  let tries = 0;
  const { identified, putForward, pings } = unknownInstance(async () => {
    tries += 1;
    return tries > 5 ? IDENTITY : await noMetadata();
  });
  await putForward(10 * MINUTE);
  expect(await identified).toBe(IDENTITY);
  const before = pings.length;
  await putForward(10 * MINUTE);
  expect(pings).toHaveLength(before);
});

test('a stop ends the wait without an error, between two tries and during one', async () => {
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
