import { expect, test } from 'vitest';
import type { Convergence } from '../../../../agent/deploy/converged.ts';
import { awaitLaunch, type LaunchParts } from '../../../../agent/life/launch.ts';
import { silentLog } from '../../../../shared/log.ts';
import { heldClock } from '../../../support/host/clock.ts';

const CONVERGED: Convergence = { state: 'converged' };
const PENDING: Convergence = { state: 'pending', why: 'http 503' };
const FAILED: Convergence = { state: 'failed', why: '2.0.0 failed here' };
const MINUTE = 60_000;

function launching(change: Partial<LaunchParts> = {}) {
  const { clock, putForward } = heldClock(5);
  const services = { web: PENDING, api: CONVERGED } as Record<string, Convergence>;
  const calls: string[] = [];
  const world = { group: 'done' as 'done' | 'over' | Error };
  const act = async (call: string) => {
    calls.push(call);
    if (world.group instanceof Error) throw world.group;
    return world.group;
  };
  let ended: string | undefined;
  const stopping = new AbortController();
  awaitLaunch(
    {
      hook: 'ready',
      actions: {
        complete: (hook, result) => act(`${hook} ${result}`),
        heartbeat: (hook) => act(`${hook} heartbeat`),
      },
      services: new Map(
        Object.keys(services).map((name) => [
          name,
          { convergence: async () => services[name] as Convergence },
        ]),
      ),
      ...{ deadline: 10 * MINUTE, onFailure: 'wait', clock, log: silentLog() },
      ...change,
    },
    stopping.signal,
  ).then(
    () => {
      ended = 'ended';
    },
    (error: unknown) => {
      ended = String(error);
    },
  );
  return { services, calls, world, putForward, stopping, ended: () => ended };
}

test('the launch is completed once all services have converged; until then there are heartbeats', async () => {
  const { services, calls, putForward, ended } = launching();
  await putForward(MINUTE);
  expect(calls).toEqual(['ready heartbeat', 'ready heartbeat']);
  expect(ended()).toBeUndefined();
  services.web = CONVERGED;
  await putForward(5000);
  expect(calls.at(-1)).toBe('ready CONTINUE');
  expect(ended()).toBe('ended');
});

test('a launch that has failed for good is abandoned where the config says so', async () => {
  const { services, calls, putForward, ended } = launching({ onFailure: 'abandon' });
  services.api = FAILED;
  await putForward(5000);
  expect(calls).toEqual(['ready ABANDON']);
  expect(ended()).toBe('ended');
});

test('otherwise it gets no heartbeat, so that its hook times out, and is completed if it converges in time', async () => {
  const { services, calls, putForward, ended } = launching();
  services.api = FAILED;
  await putForward(5 * MINUTE);
  expect(calls).toEqual([]);
  services.api = CONVERGED;
  services.web = CONVERGED;
  await putForward(5000);
  expect(calls).toEqual(['ready CONTINUE']);
  expect(ended()).toBe('ended');
});

test('a launch that takes too long has failed', async () => {
  const waiting = launching();
  await waiting.putForward(11 * MINUTE);
  expect(waiting.calls.every((call) => call === 'ready heartbeat')).toBe(true);
  expect(waiting.ended()).toBe('ended');
  const abandoning = launching({ onFailure: 'abandon' });
  await abandoning.putForward(11 * MINUTE);
  expect(abandoning.calls.at(-1)).toBe('ready ABANDON');
});

test('one that comes too late, or in no group, finds that nothing waits, and asks no more', async () => {
  const { services, world, calls, putForward, ended } = launching();
  world.group = 'over';
  services.web = CONVERGED;
  await putForward(60 * MINUTE);
  expect(calls).toEqual(['ready CONTINUE']);
  expect(ended()).toBe('ended');
});

test('a call that fails is repeated', async () => {
  const { services, world, calls, putForward, ended } = launching();
  world.group = new Error('throttled');
  services.web = CONVERGED;
  await putForward(10_000);
  expect(calls.length).toBeGreaterThan(1);
  world.group = 'done';
  await putForward(20_000);
  expect(ended()).toBe('ended');
});

test('one that is refused for ever asks once a minute, and not for ever', async () => {
  const { services, world, calls, putForward, ended } = launching();
  world.group = new Error('not allowed');
  services.web = CONVERGED;
  await putForward(60 * MINUTE);
  expect(calls.length).toBeLessThan(70);
  expect(ended()).toBeUndefined();
  await putForward(12 * MINUTE);
  expect(ended()).toBe('ended');
});

test('it ends when the agent stops', async () => {
  const { putForward, stopping, ended } = launching();
  await putForward(1000);
  stopping.abort(new Error('stopped'));
  await putForward(0);
  expect(ended()).toBe('Error: stopped');
});
