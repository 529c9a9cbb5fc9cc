import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HEARTBEAT_MS } from '../../../../publisher/record/lock-document.ts';
import { newUlid } from '../../../../shared/names.ts';
import { KEY, leaveLock, storedLock, wanted } from '../../../support/publisher/lock-fixture.ts';
import { HandClock, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
});
afterEach(async () => await stage.close());

const stored = () => storedLock(stage);
const leftBehind = (ageMs: number) => leaveLock(stage, ageMs);

describe('taking the lock', () => {
  it('writes the next sequence with its owner in one conditional PUT; gaps remain', async () => {
    const { locks } = (await stage.open()).record;
    const first = await locks.take(wanted());
    expect(first.sequence).toBe(1);
    expect(stored()).toMatchObject({ sequence: 1, owner: { command: 'deploy', pid: process.pid } });
    await first.release();
    expect(stored()).toMatchObject({ sequence: 1, owner: null });
    const second = await locks.take(wanted());
    expect(second.sequence).toBe(2);
    await second.release();
  });

  it('is refused at once while its owner writes heartbeats, with who, since when, what, and how to follow', async () => {
    const clock = new HandClock();
    const holder = await stage.open(clock);
    const mine = wanted();
    const lock = await holder.record.locks.take(mine);
    const refused = (await stage.open()).record.locks.take(wanted());
    await expect(refused).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringMatching(new RegExp(`${holder.who}.*deploy ${mine.deployment}.* since 20`)),
      hint: expect.stringContaining(`trigger-deploy watch ${mine.deployment}`),
    });
    await lock.release();
  });

  it('succeeds when its owner released it after it was read ahead', async () => {
    const lock = await (await stage.open()).record.locks.take(wanted());
    const { locks } = (await stage.open()).record;
    locks.readAhead('payments');
    await expect.poll(() => stage.cloud.requests.filter(({ key }) => key === KEY).length).toBeGreaterThan(2);
    await lock.release();
    const next = await locks.take(wanted());
    expect(next.sequence).toBe(2);
    await next.release();
  });

  it('succeeds for exactly one of twenty publishers at once', async () => {
    const sessions = await Promise.all(Array.from({ length: 20 }, () => stage.open(new HandClock())));
    const tries = await Promise.allSettled(sessions.map(({ record }) => record.locks.take(wanted())));
    const won = tries.filter((one) => one.status === 'fulfilled');
    expect(won).toHaveLength(1);
    expect(stored().sequence).toBe(1);
    for (const one of tries) if (one.status === 'rejected') expect(one.reason.code).toBe('LOCKED');
    for (const one of won) await one.value.release();
  });

  it('continues from the sequence of the desired state when the lock was deleted', async () => {
    const session = await stage.open();
    const { artifacts } = await stage.publish('payments', '1.0.0');
    await session.record.desired.move({
      ...{ service: 'payments', version: '1.0.0', artifacts, action: 'deploy', sequence: 41 },
      ...{ deployment: newUlid(0), changedBy: 'ci' },
    });
    const lock = await session.record.locks.take(wanted());
    expect(lock.sequence).toBe(42);
    await lock.release();
  });

  it('recognises its own write after a lost answer, and has the lock', async () => {
    const writes = (asked: { operation: string; key?: string }) =>
      asked.operation === 'PutObject' && asked.key === KEY;
    stage.cloud.fail('answer-lost', writes);
    const { locks } = (await stage.open()).record;
    const first = await locks.take(wanted());
    expect(first.sequence).toBe(1);
    stage.cloud.fail('answer-lost', writes);
    await first.release();
    expect(stored().owner).toBeNull();
    stage.cloud.fail('conflict', writes);
    const second = await locks.take(wanted());
    expect(second.sequence).toBe(2);
    await second.release();
  });
});

describe('holding the lock', () => {
  it('writes a heartbeat every 15 s', async () => {
    const clock = new HandClock();
    const lock = await (await stage.open(clock)).record.locks.take(wanted());
    const before = stage.cloud.object(stage.bucket, KEY)?.etag;
    clock.advance(HEARTBEAT_MS);
    await expect.poll(() => stage.cloud.object(stage.bucket, KEY)?.etag).not.toBe(before);
    expect(stored()).toMatchObject({ sequence: 1, owner: { command: 'deploy' } });
    await lock.release();
  });

  it('gives the next sequence to a deployment that follows under the same lock', async () => {
    const lock = await (await stage.open()).record.locks.take(wanted());
    const follows = newUlid(Date.now());
    expect(await lock.next(follows)).toBe(2);
    expect(stored()).toMatchObject({ sequence: 2, owner: { deployment: follows } });
    await lock.release();
  });

  it('ends with FENCED once another publisher has it, and releasing does not touch the other’s lock', async () => {
    const clock = new HandClock();
    const lock = await (await stage.open(clock)).record.locks.take(wanted());
    await leftBehind(0);
    clock.advance(HEARTBEAT_MS);
    await expect.poll(() => lock.lost.aborted).toBe(true);
    expect(lock.lost.reason).toMatchObject({
      code: 'FENCED',
      message: expect.stringContaining('mallory@ci'),
    });
    await expect(lock.next(newUlid(0))).rejects.toMatchObject({ code: 'FENCED' });
    await lock.release();
    expect(stored().owner?.who).toBe('mallory@ci');
  });

  it('survives an outage of S3, with one warning', async () => {
    const clock = new HandClock();
    const session = await stage.open(clock);
    const lock = await session.record.locks.take(wanted());
    stage.cloud.fail('unavailable', (asked) => asked.operation === 'PutObject', 4);
    clock.advance(HEARTBEAT_MS);
    await expect.poll(() => notes(session.events), { timeout: 20_000 }).toHaveLength(1);
    clock.advance(HEARTBEAT_MS);
    const before = stage.cloud.object(stage.bucket, KEY)?.etag;
    await expect.poll(() => stage.cloud.object(stage.bucket, KEY)?.etag).not.toBe(before);
    expect(lock.lost.aborted).toBe(false);
    await lock.release();
  }, 30_000);

  it('is not lost by a heartbeat that was stored and whose answer was lost: it continues from there', async () => {
    const clock = new HandClock();
    const session = await stage.open(clock);
    const lock = await session.record.locks.take(wanted());
    const beats = (asked: { operation: string; key?: string }) =>
      asked.operation === 'PutObject' && asked.key === KEY;
    stage.cloud.fail('answer-lost', beats);
    stage.cloud.fail('unavailable', beats, 3);
    clock.advance(HEARTBEAT_MS);
    await expect.poll(() => notes(session.events), { timeout: 20_000 }).toHaveLength(1);
    const before = stage.cloud.object(stage.bucket, KEY)?.etag;
    clock.advance(HEARTBEAT_MS);
    await expect
      .poll(() => stage.cloud.object(stage.bucket, KEY)?.etag, { timeout: 10_000 })
      .not.toBe(before);
    expect(lock.lost.aborted).toBe(false);
    expect(await lock.next(newUlid(Date.now()))).toBe(2);
    await lock.release();
    expect(stored()).toMatchObject({ sequence: 2, owner: null });
  }, 40_000);

  it('is not lost by a next sequence whose answer was lost: the one after it is taken', async () => {
    const lock = await (await stage.open()).record.locks.take(wanted());
    const writes = (asked: { operation: string; key?: string }) =>
      asked.operation === 'PutObject' && asked.key === KEY;
    stage.cloud.fail('answer-lost', writes);
    stage.cloud.fail('unavailable', writes, 3);
    await expect(lock.next(newUlid(Date.now()))).rejects.toMatchObject({ code: 'AWS_UNREACHABLE' });
    expect(stored().sequence).toBe(2);
    expect(await lock.next(newUlid(Date.now()))).toBe(3);
    await lock.release();
    expect(stored()).toMatchObject({ sequence: 3, owner: null });
  }, 40_000);
});

it('a repair of a lock that is right again leaves it as it is, with its owner', async () => {
  const { locks } = (await stage.open()).record;
  const lock = await locks.take(wanted());
  const before = stored();
  expect(await locks.repair('payments', before.sequence)).toBe(false);
  expect(stored()).toEqual(before);
  await lock.release();
});
