import { describe, expect, test } from 'vitest';
import type { Message } from '../../../../agent/loop/ports.ts';
import { desiredOf, measured } from '../../../support/agent/metrics-fixture.ts';
import { AT, active, EMPTY, endedBy, ORDER } from '../../../support/agent/state-fixture.ts';
import { createFakePorts, createModel } from '../../../support/fleet/fake-ports.ts';
import { calm } from '../../../support/host/clock.ts';

const SECOND = 1000;

describe('deployments', () => {
  test('are counted by their ending when it is in the journal, each once', async () => {
    const ended: string[] = [];
    const { values, journal } = measured({ onEnding: ({ deployment }) => ended.push(deployment) });
    const kept = await journal();
    const done = endedBy('succeeded');
    await kept.append(active());
    await kept.append(done);
    await kept.append({ ...done, outbox: [] });
    expect(values().endings).toMatchObject({ succeeded: 1, failed: 0, 'rolled-back': 0 });
    expect(ended).toEqual([ORDER.deployment]);
  });

  test('that ended before the agent started are not counted', async () => {
    const { values, journal } = measured();
    const kept = await journal(endedBy('failed'));
    await kept.append(endedBy('failed'));
    expect(values().endings.failed).toBe(0);
  });

  test('whose ending cannot be written are not counted', async () => {
    const { metrics, values } = measured();
    const full = metrics.journal('payments', {
      load: async () => ({ state: EMPTY, quarantined: undefined }),
      append: async () => {
        throw new Error('no space');
      },
    });
    await full.load();
    await expect(full.append(endedBy('failed'))).rejects.toThrow('no space');
    expect(values().endings.failed).toBe(0);
  });

  test('give the seconds of their steps', async () => {
    const { values, journal } = measured();
    const done = endedBy('succeeded');
    const [last] = done.endings;
    if (last) last.report.timings = { prepare: 1500, check: 250 };
    await (await journal()).append(done);
    expect(values().steps).toMatchObject({
      prepare: { count: 1, sum: 1.5 },
      check: { count: 1, sum: 0.25 },
      rollback: { count: 0, sum: 0 },
    });
  });

  test('under way and broken services are shown', async () => {
    const { values, journal } = measured();
    const kept = await journal();
    await kept.append(active());
    expect(values()).toMatchObject({ isDeploying: true, isBroken: false });
    await kept.append(endedBy('broken'));
    expect(values()).toMatchObject({ isDeploying: false, isBroken: true });
  });
});

describe('drift', () => {
  test('counts from when it is noticed until the desired version runs', async () => {
    const { values, time, journal } = measured();
    const kept = await journal();
    expect(values().driftSeconds).toBe(0);
    time.desired = desiredOf(ORDER.version, ORDER.sequence);
    expect(values().driftSeconds).toBe(0);
    time.now += 30 * SECOND;
    expect(values().driftSeconds).toBe(30);
    expect(values('billing').driftSeconds).toBe(0);
    await kept.append(endedBy('succeeded'));
    expect(values().driftSeconds).toBe(0);
  });

  test('is there on an instance that never deployed, also without a journal', async () => {
    const { values, time, metrics } = measured();
    await metrics
      .journal('payments', {
        load: async () => ({ state: undefined, quarantined: undefined }),
        append: async () => undefined,
      })
      .load();
    time.desired = desiredOf('1.1', 3);
    values();
    time.now += SECOND;
    expect(values().driftSeconds).toBe(1);
  });

  test('is none while the desired state is older than what was deployed here', async () => {
    const { values, time, journal } = measured();
    await (await journal()).append(endedBy('succeeded'));
    time.desired = desiredOf('1.0', ORDER.sequence - 1);
    values();
    time.now += SECOND;
    expect(values().driftSeconds).toBe(0);
  });
});

test('the outbox has the age of its oldest report, and the waiting order the time since it was received', async () => {
  const { values, time, journal } = measured();
  const kept = await journal();
  expect(values()).toMatchObject({ outboxSeconds: 0, outboxReports: 0, waitingSeconds: 0 });
  await kept.append({ ...endedBy('failed'), waiting: { ...ORDER, receivedAt: time.now } });
  time.now = Date.parse(AT) + 90 * SECOND;
  expect(values()).toMatchObject({ outboxSeconds: 90, outboxReports: 1, waitingSeconds: 90 });
});

test('messages have the age at which they were received; a clock that is behind makes no negative one', async () => {
  const ages: number[] = [];
  const { metrics, time } = measured({ onMessage: (age) => ages.push(age) });
  const message = (sentAt: number): Message => ({ body: '', receiptHandle: '', sentAt });
  const inbox = metrics.inbox({
    ensure: async () => undefined,
    resubscribe: async () => false,
    delete: async () => undefined,
    receive: async () => [message(time.now - 4 * SECOND), message(time.now + SECOND)],
  });
  await inbox.receive(calm);
  expect(metrics.read()).toMatchObject({ messages: { count: 2, sum: 4 }, receivedAt: time.now });
  expect(ages).toEqual([4, 0]);
});

test('refused announcements are counted by code, and the notice is read from the record', async () => {
  const { metrics } = measured();
  expect(Object.fromEntries(metrics.read().refused)).toMatchObject({ SIGNATURE_INVALID: 0 });
  metrics.refused('SIGNATURE_INVALID');
  metrics.refused('EXPIRED');
  expect(Object.fromEntries(metrics.read().refused)).toMatchObject({ SIGNATURE_INVALID: 1, EXPIRED: 1 });
  const reporter = metrics.reporter(createFakePorts(createModel()).reporter);
  const noticed = (terminating: boolean) => ({ notice: { kind: 'any', terminating } }) as never;
  await reporter.putInstance(noticed(true), calm);
  expect(metrics.read().isNoticed).toBe(true);
  await reporter.putInstance({} as never, calm);
  expect(metrics.read().isNoticed).toBe(false);
  // A recommendation to rebalance is no end.
  await reporter.putInstance(noticed(false), calm);
  expect(metrics.read().isNoticed).toBe(false);
});
