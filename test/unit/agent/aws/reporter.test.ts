import { describe, expect, test } from 'vitest';
import { NEVER } from '../../../../shared/abort.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { keys } from '../../../../shared/names.ts';
import type { InstanceRecord } from '../../../../shared/report.ts';
import { BUCKET, rejection } from '../../../support/aws/fixture.ts';
import {
  DEPLOYMENT,
  holdBack,
  repliesIn,
  replyQueue,
  reporterAndCloud,
  reportOf,
} from '../../../support/aws/reporter-fixture.ts';
import type { Cloud } from '../../../support/cloud/cloud.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';

const KEY = keys.report('dev', 'payments', DEPLOYMENT, userIdOf('i-0a'));

const recordOf = (cloud: Cloud, key = KEY) => JSON.parse(String(cloud.object(BUCKET, key)?.body)) as unknown;

describe('deliver', () => {
  test('an ending is in the record when it resolves, and follows the earlier progress', async () => {
    const { cloud, reporter, makeQueue } = await reporterAndCloud();
    const queue = replyQueue();
    await makeQueue(queue);
    reporter.progress(reportOf(3, 'watching'), queue);
    await reporter.deliver(reportOf(4, 'succeeded'), queue, NEVER);
    expect(recordOf(cloud)).toMatchObject({ n: 4, state: 'succeeded' });
    await reporter.close(5000);
    expect(repliesIn(cloud, queue)).toEqual([
      [3, 'watching'],
      [4, 'succeeded'],
    ]);
  });

  test('a missing reply queue does not prevent the write to the record', async () => {
    const { cloud, reporter } = await reporterAndCloud();
    await reporter.deliver(reportOf(4, 'succeeded'), replyQueue(), NEVER);
    expect(recordOf(cloud)).toMatchObject({ state: 'succeeded' });
  });

  test('without credentials it fails with that reason, and is delivered once they are back', async () => {
    const { cloud, reporter } = await reporterAndCloud();
    cloud.expireCredentials('session-i-0a');
    expect(await rejection(reporter.deliver(reportOf(4, 'failed'), undefined, NEVER))).toMatchObject({
      code: 'AWS_DENIED',
      message: expect.stringContaining(KEY),
    });
    cloud.renewCredentials('session-i-0a');
    await reporter.deliver(reportOf(4, 'failed'), undefined, NEVER);
    expect(recordOf(cloud)).toMatchObject({ state: 'failed' });
  });

  test('a write whose answer is lost is repeated', async () => {
    const { cloud, reporter } = await reporterAndCloud();
    cloud.fail('answer-lost', ({ operation }) => operation === 'PutObject');
    await reporter.deliver(reportOf(4, 'succeeded'), undefined, NEVER);
    expect(recordOf(cloud)).toMatchObject({ state: 'succeeded' });
  });

  test('an older report never replaces a newer one', async () => {
    const { cloud, reporter } = await reporterAndCloud();
    await reporter.deliver(reportOf(4, 'succeeded'), undefined, NEVER);
    await reporter.deliver(reportOf(0, 'accepted'), undefined, NEVER);
    expect(recordOf(cloud)).toMatchObject({ n: 4, state: 'succeeded' });
  });

  test('an ending delivered while `accepted` is being written is the one that remains', async () => {
    const { cloud, aws, reporter } = await reporterAndCloud();
    let first = true;
    const { release, reached } = holdBack(aws.s3 as unknown as Aws['sqs'], (command) => {
      const hold = first && command === 'PutObjectCommand';
      if (hold) first = false;
      return hold;
    });
    const accepted = reporter.deliver(reportOf(0, 'accepted'), undefined, NEVER);
    await reached;
    const ending = reporter.deliver(reportOf(4, 'succeeded'), undefined, NEVER);
    release();
    await Promise.all([accepted, ending]);
    expect(recordOf(cloud)).toMatchObject({ n: 4, state: 'succeeded' });
  });

  test('a waiting write ends when it is aborted, and the next one is made', async () => {
    const { cloud, aws, reporter } = await reporterAndCloud();
    let first = true;
    const { release, reached } = holdBack(aws.s3 as unknown as Aws['sqs'], () => {
      const hold = first;
      first = false;
      return hold;
    });
    const accepted = reporter.deliver(reportOf(0, 'accepted'), undefined, NEVER);
    await reached;
    const stop = new AbortController();
    const waiting = rejection(reporter.deliver(reportOf(1, 'failed'), undefined, stop.signal));
    stop.abort('stopping');
    expect(await waiting).toBe('stopping');
    const ending = reporter.deliver(reportOf(2, 'failed'), undefined, NEVER);
    release();
    await Promise.all([accepted, ending]);
    expect(recordOf(cloud)).toMatchObject({ n: 2 });
  });
});

test('the instance record is written under the key where the fleet is listed', async () => {
  const { cloud, reporter } = await reporterAndCloud();
  const record: InstanceRecord = {
    v: 1,
    env: 'dev',
    service: 'payments',
    instance: 'i-0a',
    version: '1.4.1',
    sequence: 6,
    pinned: false,
    agentVersion: '0.1.0',
    at: '2025-01-31T08:14:02.113Z',
  };
  await reporter.putInstance(record, NEVER);
  await reporter.putInstance({ ...record, version: '1.4.2' }, NEVER);
  expect(recordOf(cloud, keys.instance('dev', 'payments', userIdOf('i-0a')))).toEqual({
    ...record,
    version: '1.4.2',
  });
});
