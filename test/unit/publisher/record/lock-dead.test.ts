import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { STALE_MS } from '../../../../publisher/record/lock-document.ts';
import type { Session } from '../../../../publisher/session.ts';
import { KEY, leaveLock, storedLock, wanted } from '../../../support/publisher/lock-fixture.ts';
import { HandClock, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

/** The lock of a publisher that died: who takes it over, and when. */

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(async () => await stage.close());

const stored = () => storedLock(stage);
const leftBehind = (ageMs: number) => leaveLock(stage, ageMs);

/** Takes the dates away from S3's answers to `session`, as a proxy could. */
function withoutDates({ aws }: Session): void {
  const { requestHandler } = aws.s3.config;
  const handle: typeof requestHandler.handle = async (...asked) => {
    const answered = await requestHandler.handle(...asked);
    delete answered.response.headers.date;
    return answered;
  };
  Object.assign(aws.s3.config, { requestHandler: { handle } });
}

/** A lock of the process `pid` on this machine, with a heartbeat just now. */
async function leftHere(pid: number, change: object = {}): Promise<void> {
  await leftBehind(0);
  const { owner, ...rest } = stage.json(KEY) as { owner: object };
  const { here } = (await stage.open()).record;
  const changed = { ...rest, owner: { ...owner, ...here, pid, ...change } };
  stage.cloud.putObject(stage.bucket, KEY, JSON.stringify(changed));
}

/** The pid of a process that has ended. */
async function endedPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

describe('a lock whose publisher is dead', () => {
  it.each([
    ['right', 0],
    ['an hour ahead', 3_600_000],
    ['an hour behind', -3_600_000],
  ])(
    'is taken over at once after 60 s without a heartbeat by the clock of S3, where the taker has a clock that is %s',
    async (_, ahead) => {
      const clock = new HandClock();
      const now = clock.now;
      clock.now = () => now() + ahead;
      await leftBehind(STALE_MS + 1000);
      const session = await stage.open(clock);
      const lock = await session.record.locks.take(wanted());
      expect(clock.monotonic()).toBe(0);
      expect(lock.sequence).toBe(8);
      expect(notes(session.events)[0]).toMatch(
        /taking over the lock of payments from mallory@ci .*: no heartbeat for 1 min/,
      );
      await lock.release();
    },
  );

  it('is not taken over within 60 s of its last heartbeat, wherever the clock of the taker stands', async () => {
    const clock = new HandClock();
    const now = clock.now;
    clock.now = () => now() + 3_600_000;
    await leftBehind(STALE_MS / 2);
    await expect((await stage.open(clock)).record.locks.take(wanted())).rejects.toMatchObject({
      code: 'LOCKED',
      hint: expect.stringMatching(/if that publisher died, the lock expires in (29|30|31) s: retry then/),
    });
  });

  it('is taken over at once when its process on this machine has ended, however new its heartbeat', async () => {
    await leftHere(await endedPid());
    const session = await stage.open();
    expect(await session.record.locks.look('payments')).toMatchObject({ state: 'stale', dead: true });
    const lock = await session.record.locks.take(wanted());
    expect(lock.sequence).toBe(8);
    expect(notes(session.events)[0]).toMatch(/its process \d+ on this machine has ended/);
    await lock.release();
  });

  it('is taken over at once when its pid belongs to another process by now', async () => {
    await leftHere(process.pid, { started: '1' });
    const lock = await (await stage.open()).record.locks.take(wanted());
    await lock.release();
  });

  it.each([
    ['its process lives', async () => ({ pid: process.pid })],
    [
      'it ran in another container with the same host name',
      async () => ({ pid: await endedPid(), place: 'other' }),
    ],
    ['it ran on another machine', async () => ({ pid: await endedPid(), host: 'other' })],
    ['an older publisher wrote it', async () => ({ pid: await endedPid(), place: undefined })],
    ['its pid is no pid', async () => ({ pid: -1 })],
  ])('is not taken over before 60 s when %s', async (_, change) => {
    const { pid, ...more } = await change();
    await leftHere(pid, more);
    await expect((await stage.open()).record.locks.take(wanted())).rejects.toMatchObject({ code: 'LOCKED' });
  });
});

describe('a lock without a heartbeat, where the answers of S3 have no date,', () => {
  const opened = async (clock: HandClock) => {
    const session = await stage.open(clock);
    withoutDates(session);
    return session;
  };

  it('is watched for 60 s, with a warning, then taken over', async () => {
    const clock = new HandClock();
    await leftBehind(2 * STALE_MS);
    const session = await opened(clock);
    const lock = await clock.during(session.record.locks.take(wanted()), 1000);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(STALE_MS);
    expect(lock.sequence).toBe(8);
    expect(notes(session.events)[0]).toMatch(/mallory@ci.*has no heartbeat; watching it for 1 min/);
    await lock.release();
  });

  it('is not taken over when a heartbeat comes while it is watched', async () => {
    const clock = new HandClock();
    await leftBehind(2 * STALE_MS);
    const session = await opened(clock);
    const taking = session.record.locks.take(wanted());
    await expect.poll(() => notes(session.events)).toHaveLength(1);
    const { nonce: _, ...rest } = stored() as { nonce?: string };
    stage.cloud.putObject(stage.bucket, KEY, JSON.stringify({ ...rest, nonce: 'alive' }));
    await expect(clock.during(taking, 1000)).rejects.toMatchObject({ code: 'LOCKED' });
    expect(stored().owner?.who).toBe('mallory@ci');
  });

  it('is taken over at once when it was looked at for 60 s before', async () => {
    const clock = new HandClock();
    await leftBehind(2 * STALE_MS);
    const session = await opened(clock);
    expect(await session.record.locks.look('payments')).toMatchObject({ state: 'stale', dead: false });
    clock.advance(STALE_MS);
    const lock = await session.record.locks.take(wanted());
    expect(notes(session.events)).toEqual([expect.stringContaining('while it was watched for 1 min')]);
    await lock.release();
  });

  it('is watched no longer once the signal aborts', async () => {
    await leftBehind(2 * STALE_MS);
    const session = await opened(new HandClock());
    const stop = new AbortController();
    const taking = session.record.locks.take(wanted(stop.signal));
    await expect.poll(() => notes(session.events)).toHaveLength(1);
    stop.abort(new Error('enough'));
    await expect(taking).rejects.toThrow('enough');
  });
});
