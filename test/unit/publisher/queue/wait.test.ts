import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DeployOptions, deploy } from '../../../../publisher/commands/deploy.ts';
import { pause } from '../../../../publisher/commands/pause.ts';
import { HEARTBEAT_MS, STALE_MS } from '../../../../publisher/record/lock-document.ts';
import { keys, newUlid } from '../../../../shared/names.ts';
import { HandClock, never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await openStage();
  await stage.agent('i-1');
  for (const version of ['1.0.0', '1.1.0']) await stage.publish('payments', version);
});
afterEach(() => stage.close());

const KEY = keys.queue('dev', 'payments');
const waiting = () =>
  (stage.json(KEY) as { waiting: { who: string; version: string }[] } | undefined)?.waiting ?? [];
const options = (version: string, change: Partial<DeployOptions> = {}): DeployOptions => ({
  ...{ service: 'payments', version, wait: true, timeoutMs: 20_000, allowMissing: 0, queueMode: 'queue' },
  ...{ maxFailures: 0, onFailure: 'rollback', strategy: { name: 'all' }, detach: never(), ...change },
});

/** Another publisher holds the lock; call the result to release it. */
async function held(): Promise<() => Promise<void>> {
  const { record } = await stage.open(new HandClock());
  const deployment = newUlid(Date.now());
  const lock = await record.locks.take({
    ...{ service: 'payments', command: 'deploy', deployment, signal: never() },
  });
  return async () => await lock.release();
}

/** A deployment that waits in the queue. */
async function queued(version: string, change: Partial<DeployOptions> = {}) {
  const session = await stage.open();
  const before = waiting().length;
  const done = deploy(session, options(version, change));
  done.catch(() => undefined);
  await expect.poll(() => waiting().length).toBe(before + 1);
  return { session, done };
}

/** The queue entry of a publisher that was killed, written that long ago by S3's clock. */
function leftBehind(ageMs: number, change: object = {}): void {
  const dead = {
    ...{ id: newUlid(0), who: 'mallory@ci', host: 'ci', pid: 1, command: 'deploy', version: '9' },
    ...{ since: new Date(0).toISOString(), beat: 3, ...change },
  };
  const body = JSON.stringify({ v: 1, nonce: 'old', waiting: [dead] });
  stage.cloud.putObject(stage.bucket, KEY, body).lastModified.setTime(Date.now() - ageMs);
}

const versions = async () => {
  const { record } = await stage.open();
  return (await record.deployments.list('payments', 9)).map((one) => one.version).reverse();
};

describe('the queue', () => {
  it('is first come, first served; it shows the place and who is ahead, and is empty afterwards', async () => {
    const seen = Promise.withResolvers<void>();
    await stage.agent('i-2', async ({ version }) => {
      if (version === '1.0.0') await seen.promise;
      return ['accepted', 'succeeded'];
    });
    const release = await held();
    const first = await queued('1.0.0');
    const second = await queued('1.1.0');
    await expect
      .poll(() => notes(second.session.events).join('\n'))
      .toMatch(
        /place 2 of 2 in the queue for payments; ahead: \S+ \(deploy 1\.0\.0, for .*\); locked by \S+ \(deploy 01/,
      );
    await release();
    await expect
      .poll(() => notes(second.session.events).join('\n'))
      .toContain('place 1 of 1 in the queue for payments');
    seen.resolve();
    await Promise.all([first.done, second.done]);
    expect(await versions()).toEqual(['1.0.0', '1.1.0']);
    expect(waiting()).toEqual([]);
    const newest = (await second.session.record.deployments.newest('payments'))?.value;
    expect(newest?.line?.waitedMs).toBeGreaterThan(0);
  }, 40_000);

  it('can be jumped with a reason, which the overtaken publisher shows and the record keeps', async () => {
    const release = await held();
    const first = await queued('1.0.0');
    await expect.poll(() => notes(first.session.events)).toHaveLength(1);
    const jumper = await queued('1.1.0', { queueMode: 'jump', reason: 'card payments fail' });
    expect(waiting().map((one) => one.version)).toEqual(['1.1.0', '1.0.0']);
    await expect
      .poll(() => notes(first.session.events).join('\n'), { timeout: 10_000 })
      .toMatch(/overtaken in the queue for payments by \S+ \(deploy 1\.1\.0, .*\): card payments fail/);
    await release();
    await Promise.all([first.done, jumper.done]);
    expect(await versions()).toEqual(['1.1.0', '1.0.0']);
    const [, jumped] = await (await stage.open()).record.deployments.list('payments', 2);
    expect(jumped?.line).toMatchObject({ jumped: 'card payments fail', overtook: [first.session.who] });
  }, 40_000);

  it('a deploy without --queue is refused while a publisher is queued, even when the lock is free', async () => {
    leftBehind(STALE_MS / 2);
    await expect(
      deploy(await stage.open(), options('1.0.0', { queueMode: undefined })),
    ).rejects.toMatchObject({
      code: 'LOCKED',
      message: expect.stringContaining('other publishers are queued for payments: mallory@ci (deploy 9, for'),
      hint: expect.stringContaining('--queue waits behind them'),
    });
    expect(await versions()).toEqual([]);
  });

  it('is named in the hint when the lock is held', async () => {
    const release = await held();
    await expect(
      deploy(await stage.open(), options('1.0.0', { queueMode: undefined })),
    ).rejects.toMatchObject({
      code: 'LOCKED',
      hint: expect.stringMatching(/^--queue waits for the lock; trigger-deploy watch 01/),
    });
    await release();
  });

  it('is left at Ctrl-C, and nothing is deployed', async () => {
    const release = await held();
    const detach = new AbortController();
    const { done } = await queued('1.0.0', { detach: detach.signal });
    detach.abort();
    await expect(done).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(waiting()).toEqual([]);
    await release();
    expect(await versions()).toEqual([]);
  });

  it('starts empty when it is unreadable, with a warning', async () => {
    stage.cloud.putObject(stage.bucket, KEY, '{"v":1,"waiting":');
    const session = await stage.open();
    await deploy(session, options('1.0.0'));
    expect(notes(session.events).join()).toContain('waiting publishers re-queue at the end');
    expect(waiting()).toEqual([]);
  }, 30_000);

  it('ends with PAUSED when the service was paused meanwhile, and the lock is released', async () => {
    const release = await held();
    const { done } = await queued('1.0.0');
    await pause(await stage.open(), { service: 'payments', reason: 'audit' });
    await release();
    await expect(done).rejects.toMatchObject({ code: 'PAUSED' });
    expect(stage.json(keys.lock('dev', 'payments'))).toMatchObject({ owner: null });
    expect(waiting()).toEqual([]);
  }, 30_000);
});

describe('a dead publisher in the queue', () => {
  it('is dropped at once, by the clock of S3, when nobody wrote the queue for a minute', async () => {
    leftBehind(STALE_MS + 1000);
    const session = await stage.open();
    await deploy(session, options('1.0.0', { queueMode: undefined }));
    expect(waiting()).toEqual([]);
    expect(await versions()).toEqual(['1.0.0']);
  }, 30_000);

  it('is dropped at once when its process on this machine has ended, however new its heartbeat', async () => {
    leftBehind(0, { ...(await stage.open()).record.here, started: '1' });
    await deploy(await stage.open(), options('1.0.0', { queueMode: undefined }));
    expect(waiting()).toEqual([]);
    expect(await versions()).toEqual(['1.0.0']);
  }, 30_000);

  it('is dropped by the publisher behind it, which then deploys', async () => {
    const clock = new HandClock();
    leftBehind(0);
    const session = await stage.open(clock);
    await clock.during(deploy(session, options('1.0.0')), 1000);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(STALE_MS);
    expect(notes(session.events)[0]).toContain('place 2 of 2');
    expect(await versions()).toEqual(['1.0.0']);
  }, 30_000);

  it('that comes back is re-queued at the end, with a warning', async () => {
    const release = await held();
    const { session, done } = await queued('1.0.0');
    stage.cloud.putObject(stage.bucket, KEY, JSON.stringify({ v: 1, nonce: 'x', waiting: [] }));
    await expect.poll(() => waiting().length, { timeout: 10_000 }).toBe(1);
    expect(notes(session.events).join()).toContain(
      'queue place lost (no heartbeat for 60 s); re-queued at the end',
    );
    await release();
    await done;
  }, 30_000);

  it('is not one that writes heartbeats: its place is kept for more than a minute', async () => {
    const clock = new HandClock();
    const release = await held();
    const over = clock.during(deploy(await stage.open(clock), options('1.0.0')), 500);
    const beats = () => (stage.json(KEY) as { waiting: { beat: number }[] })?.waiting[0]?.beat ?? 0;
    await expect.poll(beats, { timeout: 15_000 }).toBeGreaterThanOrEqual(3);
    expect(clock.monotonic()).toBeGreaterThanOrEqual(3 * HEARTBEAT_MS);
    await release();
    await over;
    expect(await versions()).toEqual(['1.0.0']);
  }, 40_000);
});
