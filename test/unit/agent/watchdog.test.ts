import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { type Inbox, type Notifier, runAgent } from '../../../agent/agent.ts';
import type { Clock } from '../../../agent/deploy/ports.ts';
import type { Verifier } from '../../../shared/signing.ts';
import { createFakePorts, createModel, IDENTITY } from '../../support/fake-ports.ts';
import { heldClock } from './host/fixtures/clock.ts';

/** The agent's loop, without a service, on a clock that the test puts forward. */

const MINUTE = 60_000;

function loop(receive: (clock: Clock, signal: AbortSignal) => Promise<[]>, watchdogMs: number | undefined) {
  const { clock, putForward } = heldClock();
  /** When the watchdog was fed, ms. */
  const fed: number[] = [];
  const fatal: string[] = [];
  const log = pino({ level: 'fatal' }, { write: (line) => void fatal.push(JSON.parse(line).msg) });
  const notifier: Notifier = {
    ready: async () => {},
    status: () => {},
    watchdog: () => void fed.push(clock.monotonic()),
    extend: () => {},
    stopping: () => {},
    watchdogMs,
  };
  const inbox: Inbox = {
    ensure: async () => {},
    resubscribe: async () => {},
    receive: (signal) => receive(clock, signal),
    delete: async () => {},
  };
  const stopping = new AbortController();
  const running = runAgent(
    {
      ...{ identity: IDENTITY, workers: new Map(), inbox, notifier, clock, log },
      ...{ reporter: createFakePorts(createModel()).reporter, isQueueGone: () => false },
      local: { pending: async () => [], remove: async () => {}, changed: clock.sleep },
      verifier: { kids: ['ci'] } as unknown as Verifier,
      desired: { read: async () => 'absent' } as never,
    },
    stopping.signal,
  );
  onTestFinished(async () => {
    stopping.abort(new Error('over'));
    await running;
  });
  return { fed, fatal, putForward };
}

const polling = async (clock: Clock, signal: AbortSignal): Promise<[]> => {
  await clock.sleep(20_000, signal);
  return [];
};
const standingStill = (_clock: Clock, signal: AbortSignal): Promise<[]> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

test('the watchdog is fed three times within its time, as long as the loop goes round', async () => {
  const { fed, fatal, putForward } = loop(polling, 2 * MINUTE);
  await putForward(30 * MINUTE - 1);
  expect(fed).toEqual(Array.from({ length: 45 }, (_, i) => i * 40_000));
  expect(fatal).toEqual([]);
});

test('a loop that stands still is fed for no more than five minutes, and says so', async () => {
  const { fed, fatal, putForward } = loop(standingStill, 2 * MINUTE);
  await putForward(30 * MINUTE);
  expect(fed.length).toBeGreaterThan(0);
  expect(fed.at(-1)).toBeLessThan(5 * MINUTE);
  expect(fatal[0]).toBe('the loop makes no progress: the watchdog is fed no more');
});

test('where systemd does not watch, nothing is fed', async () => {
  const { fed, putForward } = loop(polling, undefined);
  await putForward(30 * MINUTE);
  expect(fed).toEqual([]);
});
