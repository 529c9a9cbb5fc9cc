import { expect, test } from 'vitest';
import type { Inbox } from '../../../../agent/loop/ports.ts';
import type { Clock } from '../../../../shared/clock.ts';
import { agentLoop, untilAborted } from '../../../support/fleet/agent-loop.ts';

const MINUTE = 60_000;

const polling = (clock: Clock): Pick<Inbox, 'receive'> => ({
  async receive(signal) {
    await clock.sleep(20_000, signal);
    return [];
  },
});

test('the watchdog is pinged three times per watchdog interval while the loop makes progress', async () => {
  const { pings, fatal, putForward } = agentLoop(polling, { watchdogMs: 2 * MINUTE });
  await putForward(30 * MINUTE - 1);
  expect(pings).toEqual(Array.from({ length: 45 }, (_, i) => i * 40_000));
  expect(fatal).toEqual([]);
});

test('pings stop within five minutes of a stalled loop, with a fatal log line', async () => {
  const { pings, fatal, putForward } = agentLoop(() => ({ receive: untilAborted }), {
    watchdogMs: 2 * MINUTE,
  });
  await putForward(30 * MINUTE);
  expect(pings.length).toBeGreaterThan(0);
  expect(pings.at(-1)).toBeLessThan(5 * MINUTE);
  expect(fatal[0]).toBe('main loop stalled; no longer pinging the watchdog');
});

test('without a systemd watchdog nothing is pinged', async () => {
  const { pings, putForward } = agentLoop(polling);
  await putForward(30 * MINUTE);
  expect(pings).toEqual([]);
});
