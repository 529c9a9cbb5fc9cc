import { describe, expect, test } from 'vitest';
import { NEVER } from '../../../../shared/abort.ts';
import { newUlid, replyQueueName } from '../../../../shared/names.ts';
import {
  DEPLOYMENT,
  holdBack,
  repliesIn,
  replyQueue,
  reporterAndCloud,
  reportOf,
} from '../../../support/aws/reporter-fixture.ts';
import type { Cloud } from '../../../support/cloud/cloud.ts';
import { heldClock } from '../../../support/host/clock.ts';

const sends = (cloud: Cloud) => cloud.requests.filter(({ operation }) => operation === 'SendMessageBatch');

const ended = (cloud: Cloud) => sends(cloud).filter(({ status }) => status === 200).length;

describe('progress', () => {
  test('reports arrive in the order in which they were made, ten to a request', async () => {
    const { cloud, reporter, makeQueue } = await reporterAndCloud();
    const queue = replyQueue();
    await makeQueue(queue);
    for (let n = 0; n < 25; n += 1) reporter.progress(reportOf(n, 'preparing'), queue);
    await reporter.close(5000);
    expect(repliesIn(cloud, queue).map(([n]) => n)).toEqual(Array.from({ length: 25 }, (_, n) => n));
    expect(sends(cloud)).toHaveLength(3);
  });

  test('reports made during a request are sent together in the next', async () => {
    const { cloud, aws, reporter, makeQueue } = await reporterAndCloud();
    const queue = replyQueue();
    await makeQueue(queue);
    const { release, reached } = holdBack(aws.sqs, (command) => command === 'SendMessageBatchCommand');
    reporter.progress(reportOf(0, 'accepted'), queue);
    await reached;
    reporter.progress(reportOf(1, 'preparing'), queue);
    reporter.progress(reportOf(2, 'prepared'), queue);
    release();
    await reporter.close(5000);
    expect(repliesIn(cloud, queue).map(([n]) => n)).toEqual([0, 1, 2]);
    expect(sends(cloud)).toHaveLength(2);
  });

  test('mere progress goes twice a second at most, and the ending at once, with what waits before it', async () => {
    const { clock, putForward } = heldClock();
    const { cloud, reporter, makeQueue } = await reporterAndCloud(clock);
    const queue = replyQueue();
    await makeQueue(queue);
    const sent = (times: number) => expect.poll(() => ended(cloud)).toBe(times);
    reporter.progress(reportOf(0, 'preparing'), queue);
    await sent(1);
    reporter.progress(reportOf(1, 'preparing'), queue);
    await putForward(499);
    reporter.progress(reportOf(2, 'switching'), queue);
    expect(sends(cloud)).toHaveLength(1);
    await putForward(1);
    await sent(2);
    expect(repliesIn(cloud, queue).map(([n]) => n)).toEqual([0, 1, 2]);
    reporter.progress(reportOf(3, 'checking'), queue);
    reporter.progress(reportOf(4, 'succeeded'), queue);
    await sent(3);
    expect(repliesIn(cloud, queue).map(([n]) => n)).toEqual([0, 1, 2, 3, 4]);
    await reporter.close(5000);
  });

  test('progress for one publisher does not wait for that of another', async () => {
    const { clock } = heldClock();
    const { cloud, reporter, makeQueue } = await reporterAndCloud(clock);
    const [one, two] = [replyQueue(), replyQueue()];
    await makeQueue(one);
    await makeQueue(two);
    reporter.progress(reportOf(0, 'preparing'), one);
    await expect.poll(() => ended(cloud)).toBe(1);
    reporter.progress(reportOf(1, 'preparing'), one);
    reporter.progress(reportOf(2, 'preparing'), two);
    await expect.poll(() => ended(cloud)).toBe(2);
    expect(repliesIn(cloud, two).map(([n]) => n)).toEqual([2]);
    expect(repliesIn(cloud, one).map(([n]) => n)).toEqual([0]);
    await reporter.close(5000);
    expect(repliesIn(cloud, one).map(([n]) => n)).toEqual([0, 1]);
  });

  test('each publisher gets the replies on its own queue', async () => {
    const { cloud, reporter, makeQueue } = await reporterAndCloud();
    const [one, two] = [replyQueue(), replyQueue()];
    await makeQueue(one);
    await makeQueue(two);
    reporter.progress(reportOf(0, 'accepted'), one);
    reporter.progress(reportOf(1, 'accepted'), two);
    reporter.progress(reportOf(2, 'preparing'), one);
    await reporter.close(5000);
    expect(repliesIn(cloud, one).map(([n]) => n)).toEqual([0, 2]);
    expect(repliesIn(cloud, two).map(([n]) => n)).toEqual([1]);
  });

  test('a missing reply queue is looked up once, and the others still get replies', async () => {
    const { cloud, reporter, makeQueue } = await reporterAndCloud();
    const [left, there] = [replyQueue(), replyQueue()];
    await makeQueue(there);
    for (let n = 0; n < 30; n += 1) reporter.progress(reportOf(n, 'preparing'), left);
    reporter.progress(reportOf(30, 'prepared'), there);
    await cloud.until(({ operation, status }) => operation === 'SendMessageBatch' && status === 200);
    reporter.progress(reportOf(31, 'draining'), left);
    await reporter.close(5000);
    expect(repliesIn(cloud, there)).toEqual([[30, 'prepared']]);
    expect(cloud.requests.filter(({ queue }) => queue === left).map(({ operation }) => operation)).toEqual([
      'GetQueueUrl',
    ]);
  });

  test('a new reply queue that SQS does not return yet is looked up again', async () => {
    const { cloud, reporter, makeQueue } = await reporterAndCloud();
    const queue = replyQueue(0);
    reporter.progress(reportOf(0, 'accepted'), queue);
    await cloud.until(({ operation, status }) => operation === 'GetQueueUrl' && status === 400);
    await makeQueue(queue);
    await reporter.close(5000);
    expect(repliesIn(cloud, queue)).toEqual([[0, 'accepted']]);
  });

  test('a failed request is retried', async () => {
    const { cloud, reporter, makeQueue } = await reporterAndCloud();
    const queue = replyQueue();
    await makeQueue(queue);
    // The SDK itself makes four tries.
    cloud.fail('unavailable', ({ operation }) => operation === 'SendMessageBatch', 4);
    reporter.progress(reportOf(0, 'accepted'), queue);
    await reporter.close(9000);
    expect(repliesIn(cloud, queue)).toEqual([[0, 'accepted']]);
  });

  test('when too many wait, the oldest are dropped, but not the important ones', async () => {
    const { cloud, aws, reporter, makeQueue } = await reporterAndCloud();
    const queue = replyQueue();
    await makeQueue(queue);
    const { release, reached } = holdBack(aws.sqs, (command) => command === 'SendMessageBatchCommand');
    reporter.progress(reportOf(0, 'preparing'), queue);
    await reached;
    await reporter.deliver(reportOf(1, 'accepted'), queue, NEVER);
    for (let n = 2; n < 600; n += 1) reporter.progress(reportOf(n, 'preparing'), queue);
    release();
    await reporter.close(9000);
    const arrived = repliesIn(cloud, queue).map(([n]) => n);
    expect(arrived).toHaveLength(501);
    expect(arrived.slice(0, 4)).toEqual([0, 1, 101, 102]);
    expect(arrived.at(-1)).toBe(599);
  });

  test('an invalid queue name makes no request', async () => {
    const { cloud, reporter } = await reporterAndCloud();
    reporter.progress(reportOf(0, 'accepted'), 'trigger-deploy-dev-i-0b');
    reporter.progress(reportOf(0, 'accepted'), replyQueueName('prd', newUlid(Date.now())));
    reporter.progress(reportOf(0, 'accepted'), undefined);
    await reporter.close(5000);
    expect(cloud.requests).toEqual([]);
  });

  test('the answer to a roll call is sent the same way', async () => {
    const { cloud, reporter, makeQueue } = await reporterAndCloud();
    const queue = replyQueue();
    await makeQueue(queue);
    const at = '2025-01-31T08:14:02.113Z';
    const who = { env: 'dev', instance: 'i-0a', agentVersion: '0.1.0', at, services: [] };
    reporter.progress({ kind: 'roll-call', v: 1, rollCall: DEPLOYMENT, ...who }, queue);
    await reporter.close(5000);
    expect(JSON.parse(cloud.messages(queue)[0] ?? '')).toMatchObject({
      kind: 'roll-call',
      rollCall: DEPLOYMENT,
    });
  });
});

describe('close', () => {
  test('ends within its timeout although a request hangs', async () => {
    const { aws, reporter } = await reporterAndCloud();
    const { release } = holdBack(aws.sqs, () => true);
    reporter.progress(reportOf(0, 'accepted'), replyQueue());
    const started = performance.now();
    await reporter.close(50);
    expect(performance.now() - started).toBeLessThan(20_000);
    release();
  });

  test('later replies are not sent', async () => {
    const { cloud, reporter } = await reporterAndCloud();
    await reporter.close(50);
    reporter.progress(reportOf(0, 'accepted'), replyQueue());
    await reporter.close(50);
    expect(cloud.requests).toEqual([]);
  });
});
