import { expect, test } from 'vitest';
import type { LockOwner } from '../../../../publisher/record/lock-document.ts';
import { obstaclesInThePast, obstaclesOnTheWay } from '../../../../publisher/rollout/obstacles.ts';

const now = Date.parse('2026-11-28T14:00:00Z');
const since = '2026-11-28T13:59:50.000Z';
const id = '01M7YRWEQ3ZRXW8B10876X65VA';
const wanted = { env: 'prd', service: 'payments', command: 'deploy', now };
const owner: LockOwner = {
  ...{ id, deployment: id, who: 'bob@desk', command: 'deploy', host: 'desk', pid: 7, since, beat: since },
};
const free = { state: 'free', owner: null, dead: false } as const;
const pause = { scope: 'service', by: 'cat', since, reason: 'freeze' } as const;

test('nothing in the way is no obstacle, nor is a lock without heartbeat: the next publisher takes it over', () => {
  expect(obstaclesOnTheWay(wanted, { pause: undefined, lock: free, queue: [] })).toEqual([]);
  for (const lock of [
    { state: 'stale', owner, dead: false } as const,
    { state: 'held', owner, dead: true } as const,
  ]) {
    expect(obstaclesOnTheWay(wanted, { pause: undefined, lock, queue: [] })).toEqual([]);
  }
});

test('a pause, a publisher that changes the service, and those that wait are named; --queue waits for the last two', () => {
  const waiting = { ...owner, who: 'ann@desk', version: '1.4.3', beat: 0 };
  const lock = { state: 'held', owner, dead: false } as const;
  expect(obstaclesOnTheWay(wanted, { pause, lock, queue: [waiting] })).toEqual([
    {
      code: 'PAUSED',
      text: `payments is paused in prd by cat since ${since}, 10 s ago: freeze`,
      hint: 'to unpause: trigger-deploy unpause payments --env prd',
    },
    {
      code: 'LOCKED',
      text: `payments is locked by bob@desk (deploy ${id}) since ${since}, 10 s ago`,
      hint: expect.stringMatching(/^--queue waits for the lock; trigger-deploy watch/),
      waits: true,
    },
    {
      code: 'LOCKED',
      text: 'other publishers are queued for payments: ann@desk (deploy 1.4.3, for 10 s)',
      hint: '--queue waits behind them; --jump --reason WHY goes to the front of the queue',
      waits: true,
    },
  ]);
});

test('the hint of a pause says how a rollback ignores it', () => {
  const [found] = obstaclesOnTheWay({ ...wanted, command: 'rollback' }, { pause, lock: free, queue: [] });
  expect(found?.hint).toContain('--despite-pause');
});

test('a service without a desired state cannot be restarted, and has nothing to roll back to', () => {
  const past = { desired: undefined, records: [] };
  expect(obstaclesInThePast(wanted, 'restart', past)).toMatchObject([{ code: 'SERVICE_NOT_FOUND' }]);
  expect(obstaclesInThePast(wanted, 'rollback', past)).toMatchObject([{ code: 'NOTHING_TO_ROLL_BACK_TO' }]);
});
