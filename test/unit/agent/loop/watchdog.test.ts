import { expect, test } from 'vitest';
import type { Inbox } from '../../../../agent/loop/agent.ts';
import type { Clock } from '../../../../shared/clock.ts';
import { agentLoop, standingStill } from '../../../support/fleet/agent-loop.ts';

const MINUTE = 60_000;

const polling = (clock: Clock): Pick<Inbox, 'receive'> => ({
  async receive(signal) {
    await clock.sleep(20_000, signal);
    return [];
  },
});

test('the watchdog is fed three times within its time, as long as the loop goes round', async () => {
  const { fed, fatal, putForward } = agentLoop(polling, 2 * MINUTE);
  await putForward(30 * MINUTE - 1);
  expect(fed).toEqual(Array.from({ length: 45 }, (_, i) => i * 40_000));
  expect(fatal).toEqual([]);
});

test('a loop that stands still is fed for no more than five minutes, and says so', async () => {
  const { fed, fatal, putForward } = agentLoop(() => ({ receive: standingStill }), 2 * MINUTE);
  await putForward(30 * MINUTE);
  expect(fed.length).toBeGreaterThan(0);
  expect(fed.at(-1)).toBeLessThan(5 * MINUTE);
  expect(fatal[0]).toBe('the loop makes no progress: the watchdog is fed no more');
});

test('where systemd does not watch, nothing is fed', async () => {
  const { fed, putForward } = agentLoop(polling);
  await putForward(30 * MINUTE);
  expect(fed).toEqual([]);
});
