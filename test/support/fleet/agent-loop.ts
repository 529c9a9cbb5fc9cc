import pino from 'pino';
import { onTestFinished } from 'vitest';
import { runAgent } from '../../../agent/loop/agent.ts';
import type { Inbox, Notifier } from '../../../agent/loop/ports.ts';
import type { Clock } from '../../../shared/clock.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import type { Verifier } from '../../../shared/signing.ts';
import { heldClock } from '../host/clock.ts';
import { createFakePorts, createModel, IDENTITY } from './fake-ports.ts';
import { NO_HEARTBEAT } from './no-heartbeat.ts';

/**
 * The agent's loop without a service, whose verifier accepts no announcement, on a clock that the test puts forward.
 * The test supplies the inbox. `stopped`: it is to stop before it begins.
 */
export function agentLoop(
  inboxOf: (clock: Clock) => Pick<Inbox, 'receive'> & Partial<Inbox>,
  { watchdogMs, stopped = false }: { watchdogMs?: number; stopped?: boolean } = {},
) {
  const { clock, putForward } = heldClock();
  /** When the watchdog was pinged, ms. */
  const pings: number[] = [];
  const fatal: string[] = [];
  const notified: string[] = [];
  const log = pino({ level: 'fatal' }, { write: (line) => void fatal.push(JSON.parse(line).msg) });
  const notifier: Notifier = {
    ready: async () => {},
    status: () => {},
    watchdog: () => void pings.push(clock.monotonic()),
    extend: () => {},
    stopping: () => void notified.push('stopping'),
    watchdogMs,
  };
  const inbox: Inbox = {
    ensure: async () => {},
    resubscribe: async () => false,
    delete: async () => {},
    ...inboxOf(clock),
  };
  const verifier: Verifier = {
    kids: ['ci'],
    verify: async () => {
      throw new TriggerDeployError('SIGNATURE_INVALID', 'no trusted signature');
    },
  };
  const stopping = new AbortController();
  if (stopped) stopping.abort(new Error('stopped'));
  const running = runAgent(
    {
      ...{ identity: IDENTITY, workers: new Map(), inbox, notifier, clock, log, verifier },
      ...{ reporter: createFakePorts(createModel()).reporter, isQueueGone: () => false },
      local: { pending: async () => [], remove: async () => {}, changed: clock.sleep },
      desired: { read: async () => undefined, known: () => undefined },
      changes: { read: async () => undefined },
      heartbeat: NO_HEARTBEAT,
    },
    stopping.signal,
  );
  const stop = async () => {
    stopping.abort(new Error('stopped'));
    await running;
  };
  onTestFinished(stop);
  return { pings, fatal, notified, putForward, stop };
}

/** Never resolves; rejects when the signal aborts. */
export const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
