import { CreateMultipartUploadCommand } from '@aws-sdk/client-s3';
import { ListSubscriptionsByTopicCommand, SubscribeCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand, DeleteQueueCommand } from '@aws-sdk/client-sqs';
import { describe, expect, test } from 'vitest';
import { gcLines } from '../../../../publisher/render/gc.ts';
import { agentQueueName, keys, newUlid, replyQueueName } from '../../../../shared/names.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import { userIdOf } from '../../../support/cloud/sqs.ts';
import { takeDenials } from '../../../support/iam/ledger.ts';
import {
  ec2,
  HOUR,
  LIVE,
  objects,
  openGcStage,
  run,
  shown,
  stage,
} from '../../../support/publisher/gc-fixture.ts';
import { HandClock } from '../../../support/publisher/stage.ts';

const DAY = 24 * HOUR;
const GONE = 'i-0000000e';

openGcStage();

/** What an instance leaves behind: a queue with its tags, a subscription, a record and a heartbeat. */
async function abandoned(
  instance: string,
  { days = 3, tags = true, env = 'dev' }: { days?: number; tags?: boolean; env?: string } = {},
): Promise<void> {
  const aws = clientsOf(stage.cloud);
  const name = agentQueueName('dev', instance);
  const own = { 'trigger-deploy:env': env, 'trigger-deploy:instance': instance };
  await aws.sqs.send(new CreateQueueCommand({ QueueName: name, ...(tags && { tags: own }) }));
  const Endpoint = stage.env.topic.replace(':sns:', ':sqs:').replace(/[^:]+$/, name);
  await aws.sns.send(new SubscribeCommand({ TopicArn: stage.env.topic, Protocol: 'sqs', Endpoint }));
  const at = new Date(Date.now() - days * DAY);
  const about = { v: 1, env: 'dev', service: 'payments', instance, version: '1.0.0' };
  const record = { ...about, sequence: 0, pinned: false, agentVersion: '0.3.0', at: at.toISOString() };
  const put = (key: string, body: object) =>
    stage.cloud.putObject(stage.bucket, key, JSON.stringify(body), at);
  put(keys.instance('dev', 'payments', userIdOf(instance)), record);
  put(keys.heartbeat('dev', userIdOf(instance)), { v: 1 });
}

async function subscriptions(): Promise<number> {
  const aws = clientsOf(stage.cloud);
  const { Subscriptions = [] } = await aws.sns.send(
    new ListSubscriptionsByTopicCommand({ TopicArn: stage.env.topic }),
  );
  return Subscriptions.length;
}

describe('what an instance that is gone left behind', () => {
  test('is only shown in a dry run, and deleted with --yes; an instance that answers keeps everything', async () => {
    await stage.agent(LIVE);
    await abandoned(GONE);
    ec2.states.set(LIVE, 'running').set(GONE, 'terminated');
    const before = [stage.cloud.queues(), await subscriptions(), objects()];
    const dry = await run({ deletes: false });
    expect(shown(dry.findings)).toEqual([
      `found of trigger-deploy-dev-${GONE}`,
      `found trigger-deploy-dev-${GONE}`,
      `found of ${GONE}`,
    ]);
    expect([stage.cloud.queues(), await subscriptions(), objects()]).toEqual(before);
    expect(gcLines(dry).at(-1)).toMatch(/^3 to delete, \d+ B; 0 kept. Nothing was deleted: --yes deletes$/);
    const { findings, problems } = await run();
    expect([shown(findings).length, problems]).toEqual([3, []]);
    expect(findings.every(({ state, why }) => state === 'deleted' && /EC2 says/.test(why))).toBe(true);
    expect(stage.cloud.queues()).toEqual([agentQueueName('dev', LIVE)]);
    expect(await subscriptions()).toBe(1);
    expect(objects('state/').filter((key) => key.includes(GONE))).toEqual([]);
    expect(objects('state/').filter((key) => key.includes(LIVE))).toHaveLength(1);
    expect((await run()).findings).toEqual([]);
  });

  test('without the word of EC2 it takes a day of silence, and a week without heartbeats', async () => {
    await stage.agent(LIVE);
    await abandoned('i-00000001', { days: 0.5 });
    await abandoned('i-00000002', { days: 1.1 });
    await abandoned('i-00000003', { days: 6 });
    stage.cloud.deleteObject(stage.bucket, keys.heartbeat('dev', userIdOf('i-00000003')));
    ec2.fail({ status: 403, code: 'UnauthorizedOperation' });
    const { findings } = await run({ only: ['queues'] });
    expect(shown(findings)).toEqual(['deleted trigger-deploy-dev-i-00000002']);
  });

  test.each(['running', 'stopped'])('is kept while EC2 calls it %s', async (state) => {
    await stage.agent(LIVE);
    await abandoned(GONE, { days: 99 });
    ec2.states.set(LIVE, 'running').set(GONE, state);
    expect((await run()).findings).toEqual([]);
  });

  test('a queue without the tags of this environment and instance is left alone, and said so', async () => {
    await stage.agent(LIVE);
    await abandoned('i-00000001', { tags: false });
    await abandoned('i-00000002', { env: 'stg' });
    const { findings } = await run({ only: ['queues'] });
    expect(shown(findings).sort()).toEqual([
      'kept trigger-deploy-dev-i-00000001',
      'kept trigger-deploy-dev-i-00000002',
    ]);
    expect(stage.cloud.queues()).toHaveLength(3);
  });

  test('a subscription whose queue does not exist is removed', async () => {
    await stage.agent(LIVE);
    await abandoned(GONE, { days: 0.1 });
    const aws = clientsOf(stage.cloud);
    const QueueUrl = `${stage.cloud.endpoint}/000000000000/${agentQueueName('dev', GONE)}`;
    await aws.sqs.send(new DeleteQueueCommand({ QueueUrl }));
    const { findings } = await run({ only: ['subscriptions'] });
    expect(findings).toMatchObject([{ state: 'deleted', why: 'its queue does not exist' }]);
    expect(await subscriptions()).toBe(1);
  });

  test.each(['i-0000dddd', 'audit'])(
    'a queue %s that somebody else named alike and subscribed keeps its subscription, and holds nothing up',
    async (name) => {
      await stage.agent(LIVE);
      await abandoned(GONE);
      await abandoned(name, { tags: false });
      for (const key of objects('state/').filter((one) => one.includes(name)))
        stage.cloud.deleteObject(stage.bucket, key);
      ec2.states.set(LIVE, 'running').set(GONE, 'terminated');
      const { findings, problems } = await run({}, { later: 8 * 24 * HOUR });
      expect(problems).toEqual([]);
      expect(shown(findings)).toEqual([
        `deleted of trigger-deploy-dev-${GONE}`,
        `kept trigger-deploy-dev-${name}`,
        `deleted trigger-deploy-dev-${GONE}`,
        `deleted of ${GONE}`,
      ]);
      expect(await subscriptions()).toBe(2);
      takeDenials();
    },
  );

  test('the subscription of a queue that is gone, with a name that the policy does not know, does not end the rest', async () => {
    await stage.agent(LIVE);
    await abandoned('audit');
    await abandoned(GONE);
    const aws = clientsOf(stage.cloud);
    for (const name of ['audit', GONE]) {
      const QueueUrl = `${stage.cloud.endpoint}/000000000000/${agentQueueName('dev', name)}`;
      await aws.sqs.send(new DeleteQueueCommand({ QueueUrl }));
      for (const key of objects('state/').filter((one) => one.includes(name)))
        stage.cloud.deleteObject(stage.bucket, key);
    }
    const { findings, problems } = await run({ only: ['subscriptions'] });
    expect(problems).toEqual([]);
    expect(shown(findings).sort()).toEqual([
      `deleted of trigger-deploy-dev-${GONE}`,
      'kept of trigger-deploy-dev-audit',
    ]);
    takeDenials();
  });

  test('a record of an instance that comes back meanwhile is kept', async () => {
    await stage.agent(LIVE);
    await abandoned(GONE);
    ec2.states.set(LIVE, 'running').set(GONE, 'terminated');
    const heartbeat = keys.heartbeat('dev', userIdOf(GONE));
    void stage.cloud
      .until(({ operation, queue }) => operation === 'DeleteQueue' && !!queue?.endsWith(GONE))
      .then(() => stage.cloud.putObject(stage.bucket, heartbeat, '{"again":1}'));
    const { findings } = await run();
    expect(shown(findings, 'records')).toEqual([`kept of ${GONE}`]);
    expect(objects('state/').filter((key) => key.includes(GONE))).toHaveLength(2);
  });

  test('a missing permission is named, and the rest is deleted', async () => {
    await stage.agent(LIVE);
    await abandoned(GONE);
    ec2.states.set(LIVE, 'running').set(GONE, 'terminated');
    stage.cloud.fail('denied', ({ operation }) => operation === 'Unsubscribe', 99);
    const { findings, problems } = await run();
    expect(problems).toMatchObject([
      { kind: 'subscriptions', what: expect.stringMatching(/it needs sns:Unsubscribe/) },
    ]);
    expect(shown(findings)).toEqual([`deleted trigger-deploy-dev-${GONE}`, `deleted of ${GONE}`]);
  });
});

describe('reply queues', () => {
  const replyQueue = (age: number) => replyQueueName('dev', newUlid(Date.now() - age));
  async function make(name: string): Promise<void> {
    await clientsOf(stage.cloud).sqs.send(new CreateQueueCommand({ QueueName: name }));
  }

  test('of dead publishers are deleted after a day; that of a publisher with a lock and that of another tool are kept', async () => {
    await stage.agent(LIVE);
    const clock = new HandClock();
    const session = await stage.open(clock);
    const lock = await session.record.locks.take({
      ...{ service: 'payments', command: 'deploy', deployment: newUlid(Date.now()) },
      signal: session.signal,
    });
    const held = replyQueueName('dev', lock.replyId());
    const dead = replyQueue(HOUR);
    for (const name of [held, dead, 'trigger-deploy-dev-reply-mine', replyQueueName('devx', newUlid(0))])
      await make(name);
    const { findings } = await run({ only: ['reply-queues'] }, { later: 25 * HOUR });
    expect(shown(findings).sort()).toEqual([`deleted ${dead}`, `kept ${held}`]);
    const rest = stage.cloud.queues().filter((name) => name.includes('reply'));
    expect(rest).toContain(held);
    expect(rest).toHaveLength(3);
    await lock.release();
  });
});

test('incomplete uploads are ended after a day', async () => {
  const aws = clientsOf(stage.cloud);
  const Key = keys.artifact('payments', '1.0', 'a'.repeat(64), 'app.jar');
  await aws.s3.send(new CreateMultipartUploadCommand({ Bucket: stage.bucket, Key }));
  await aws.s3.send(new CreateMultipartUploadCommand({ Bucket: stage.bucket, Key: 'other/file' }));
  expect((await run({ only: ['uploads'] })).findings).toEqual([]);
  const { findings } = await run({ only: ['uploads'] }, { later: 25 * HOUR });
  expect(shown(findings)).toEqual([`deleted ${Key}`]);
  expect((await run({ only: ['uploads'] }, { later: 25 * HOUR })).findings).toEqual([]);
});
