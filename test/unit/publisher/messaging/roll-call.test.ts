import { GetQueueUrlCommand, ListQueueTagsCommand, type Message } from '@aws-sdk/client-sqs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openReplyQueue, readReply } from '../../../../publisher/messaging/reply-queue.ts';
import { rollCall } from '../../../../publisher/messaging/roll-call.ts';
import { isReplyQueueName, keys, newUlid } from '../../../../shared/names.ts';
import type { Reply } from '../../../../shared/report.ts';
import { signAs } from '../../../support/aws/fixture.ts';
import { insteadOnce } from '../../../support/aws/queue-fixture.ts';
import { clientsOf } from '../../../support/cloud/clients.ts';
import { instanceKey } from '../../../support/cloud/sqs.ts';
import { HandClock, never, notes, openStage, type Stage } from '../../../support/publisher/stage.ts';

const report = (instance: string) => ({
  ...{ kind: 'report', v: 1, deployment: newUlid(0), env: 'dev', service: 'payments', instance },
  ...{ sequence: 1, n: 0, at: '2026-01-01T00:00:00Z', state: 'accepted', version: '1.0.0', timings: {} },
});
const message = (body: unknown, SenderId?: string): Message => ({
  Body: typeof body === 'string' ? body : JSON.stringify(body),
  ...(SenderId === undefined ? {} : { Attributes: { SenderId } }),
});

describe('a reply', () => {
  it('from the role session of the instance that it names is accepted', () => {
    expect(readReply(message(report('i-1'), 'AROAX:i-1'))).toMatchObject({ reply: { instance: 'i-1' } });
  });

  it.each([
    ['another instance', 'AROAX:i-2'],
    ['a user', 'AIDAX'],
    ['a user with the name of the instance', 'i-1'],
    ['an account', '123456789012'],
    ['an unknown sender', undefined],
    ['a session whose name only ends with the instance id', 'AROAX:not-i-1'],
  ])('from %s is dropped', (_title, sender) => {
    expect(readReply(message(report('i-1'), sender))).toMatchObject({
      refused: expect.stringContaining('in the name of i-1'),
    });
  });

  it.each(['', 'not json', '{}', '[]', '{"kind":"report"}', { ...report('i-1'), instance: '../x' }])(
    'that is %j is dropped',
    (body) => {
      expect(readReply(message(body, 'AROAX:i-1'))).toHaveProperty('refused');
    },
  );

  it('has its control characters removed', () => {
    const evil = '\u001b[2J\u0007go\u202ene';
    const body = { ...report('i-1'), note: evil, error: { code: 'X', message: evil, detail: evil } };
    expect(readReply(message(body, 'AROAX:i-1'))).toMatchObject({
      reply: { note: 'gone', error: { message: 'gone', detail: 'gone' } },
    });
  });

  it('that is dropped cannot bring escape sequences to the terminal', () => {
    const read = readReply(message('\u001b[2J', 'AROA:\u001b[2Jx'));
    expect(read).toMatchObject({ refused: 'dropped a reply from AROA:?[2Jx: it is not JSON' });
  });
});

describe('in the cloud', () => {
  let stage: Stage;
  beforeEach(async () => {
    stage = await openStage();
  });
  afterEach(async () => await stage.close());

  it('the reply queue passes replies on, warns once of each false sender, and is deleted afterwards', async () => {
    const session = await stage.open();
    const queue = await openReplyQueue(session);
    expect(isReplyQueueName('dev', queue.name)).toBe(true);
    const received: Reply[] = [];
    const stop = new AbortController();
    const listening = queue.listen((reply) => received.push(reply), stop.signal);
    stage.cloud.sendRaw(queue.name, JSON.stringify(report('i-1')), instanceKey('i-evil'));
    stage.cloud.sendRaw(queue.name, JSON.stringify(report('i-2')), instanceKey('i-evil'));
    for (let i = 0; i < 50; i += 1) {
      stage.cloud.sendRaw(queue.name, JSON.stringify(report(`i-${i}`)), instanceKey(`i-${i}`));
    }
    await expect.poll(() => received).toHaveLength(50);
    stop.abort();
    await listening;
    await queue.close();
    expect(notes(session.events)).toHaveLength(1);
    expect(stage.cloud.queues()).not.toContain(queue.name);
  });

  it('the reply queue has tags where the config has queueTags, and none otherwise', async () => {
    const hand = clientsOf(stage.cloud);
    const tagsOf = async (name: string) => {
      const { QueueUrl } = await hand.sqs.send(new GetQueueUrlCommand({ QueueName: name }));
      return (await hand.sqs.send(new ListQueueTagsCommand({ QueueUrl }))).Tags ?? {};
    };
    const plain = await stage.open();
    expect(await tagsOf((await openReplyQueue(plain)).name)).toEqual({});
    stage.env.queueTags = { team: 'payments' };
    const session = await stage.open();
    const queue = await openReplyQueue(session, undefined, { service: 'payments' });
    expect(await tagsOf(queue.name)).toEqual({
      team: 'payments',
      'trigger-deploy:env': 'dev',
      'trigger-deploy:services': 'payments',
    });
  });

  it('a role that may not tag gets its reply queue without tags, and a warning', async () => {
    stage.env.queueTags = { team: 'payments' };
    const session = await stage.open();
    insteadOnce(session.aws.sqs, 'CreateQueueCommand', () => {
      throw Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });
    });
    const queue = await openReplyQueue(session);
    expect(stage.cloud.queues()).toContain(queue.name);
    expect(notes(session.events)).toEqual([
      'the reply queue has no tags: queueTags needs the right sqs:TagQueue',
    ]);
  });

  it('the reply queue takes replies from the session that the config names for an instance', async () => {
    stage.env.sessions = { 'i-1': 'rack-7' };
    const queue = await openReplyQueue(await stage.open());
    const received: Reply[] = [];
    const stop = new AbortController();
    const listening = queue.listen((reply) => received.push(reply), stop.signal);
    stage.cloud.sendRaw(queue.name, JSON.stringify(report('i-1')), instanceKey('i-1'));
    stage.cloud.sendRaw(queue.name, JSON.stringify({ ...report('i-1'), n: 7 }), instanceKey('rack-7'));
    await expect.poll(() => received).toHaveLength(1);
    stop.abort();
    await listening;
    await queue.close();
    expect(received).toMatchObject([{ n: 7 }]);
  });

  it('replies are not deleted one by one: the queue is, and from a large number on they are, too', async () => {
    const deletes = () => stage.cloud.requests.filter(({ operation }) => operation === 'DeleteMessageBatch');
    const all = async (keep?: number) => {
      const queue = await openReplyQueue(await stage.open(), undefined, { keep });
      for (let i = 0; i < 100; i += 1) {
        stage.cloud.sendRaw(queue.name, JSON.stringify(report(`i-${i}`)), instanceKey(`i-${i}`));
      }
      const received = new Set<string>();
      const stop = new AbortController();
      const listening = queue.listen((reply) => received.add(reply.instance), stop.signal);
      await expect.poll(() => received.size).toBe(100);
      const end = async () => {
        stop.abort();
        await listening;
        await queue.close();
      };
      return { name: queue.name, end };
    };
    const few = await all();
    expect(deletes()).toEqual([]);
    await few.end();
    expect(stage.cloud.queues()).toEqual([]);
    const many = await all(40);
    await expect.poll(() => stage.cloud.messages(many.name).length).toBeLessThanOrEqual(40);
    await many.end();
  });

  it('one receive runs at a time while few replies come, and four at most', async () => {
    const polls = () =>
      stage.cloud.requests.filter(
        ({ operation, status }) => operation === 'ReceiveMessage' && status === undefined,
      ).length;
    const queue = await openReplyQueue(await stage.open());
    const received: Reply[] = [];
    const stop = new AbortController();
    let most = 0;
    const listening = queue.listen((reply) => {
      received.push(reply);
      most = Math.max(most, polls());
    }, stop.signal);
    const say = (i: number) =>
      stage.cloud.sendRaw(queue.name, JSON.stringify(report(`i-${i}`)), instanceKey(`i-${i}`));
    for (let i = 0; i < 5; i += 1) {
      say(i);
      await expect.poll(() => received).toHaveLength(i + 1);
    }
    await expect.poll(polls).toBe(1);
    expect(most).toBeLessThanOrEqual(1);
    for (let i = 5; i < 305; i += 1) say(i);
    await expect.poll(() => received).toHaveLength(305);
    expect(most).toBeLessThanOrEqual(4);
    await expect.poll(polls).toBe(1);
    stop.abort();
    await listening;
    await queue.close();
  });

  it('a roll call ends when all known instances have answered, and includes unknown ones', async () => {
    await stage.agent('i-1', undefined, '1.0.0');
    await stage.agent('i-2');
    const session = await stage.open(new HandClock());
    const answers = await rollCall(session, { service: 'payments', known: ['i-1', 'i-2'], waitMs: 1000 });
    expect(answers.map((one) => [one.instance, one.services[0]?.version]).sort()).toEqual([
      ['i-1', '1.0.0'],
      ['i-2', null],
    ]);
    expect(stage.cloud.queues().filter((name) => name.includes('reply'))).toEqual([]);
  });

  it('a roll call waits for waitMs at most', async () => {
    const agent = await stage.agent('i-1');
    const clock = new HandClock();
    const asking = rollCall(await stage.open(clock), { known: ['i-1', 'i-dead'], waitMs: 2000 });
    await expect.poll(() => agent.heard).toHaveLength(1);
    const answers = await clock.during(asking, 100);
    expect(answers.map((one) => one.instance)).toEqual(['i-1']);
  });

  it('a roll call that cannot be announced leaves no queue', async () => {
    const session = await stage.open();
    // A policy names the topic of the config, which is another one here.
    signAs(session.aws, 'operator');
    const env = { ...session.env, topic: session.env.topic.replace('-dev', '-gone') };
    const asking = rollCall({ ...session, env }, { known: [], waitMs: 10 });
    await expect(asking).rejects.toMatchObject({ code: 'TOPIC_NOT_FOUND' });
    expect(stage.cloud.queues()).toEqual([]);
  });

  it('the reply queues of a publisher that died are deleted by the one that takes its lock over, and no others', async () => {
    const dead = await stage.open(new HandClock());
    const about = { service: 'payments', command: 'deploy', signal: never() };
    const before = await dead.record.locks.take({ ...about, deployment: newUlid(0) });
    await openReplyQueue(dead, before);
    await openReplyQueue(dead, before);
    const living = await openReplyQueue(await stage.open());
    expect(stage.cloud.queues()).toHaveLength(3);
    stage.cloud.object(stage.bucket, keys.lock('dev', 'payments'))?.lastModified.setTime(0);
    const next = await stage.open();
    const lock = await next.record.locks.take({ ...about, deployment: newUlid(0) });
    const queue = await openReplyQueue(next, lock);
    expect(isReplyQueueName('dev', queue.name)).toBe(true);
    await expect.poll(() => stage.cloud.queues().sort()).toEqual([living.name, queue.name].sort());
    await queue.close();
    expect(notes(next.events)).toHaveLength(1);
    await lock.release();
  });

  it('a queue that fails is noted once, and read again', async () => {
    const session = await stage.open();
    const queue = await openReplyQueue(session);
    stage.cloud.fail('unavailable', (asked) => asked.operation === 'ReceiveMessage', 16);
    const received: Reply[] = [];
    const stop = new AbortController();
    const listening = queue.listen((reply) => received.push(reply), stop.signal);
    stage.cloud.sendRaw(queue.name, JSON.stringify(report('i-1')), instanceKey('i-1'));
    await expect.poll(() => received, { timeout: 20_000 }).toHaveLength(1);
    stop.abort();
    await listening;
    expect(notes(session.events)).toHaveLength(1);
    await queue.close();
  }, 30_000);

  it('listening ends at once with its signal', async () => {
    const queue = await openReplyQueue(await stage.open());
    const stop = new AbortController();
    const listening = queue.listen(() => undefined, stop.signal);
    await stage.cloud.until((asked) => asked.operation === 'ReceiveMessage');
    stop.abort();
    await listening;
    await queue.listen(() => undefined, AbortSignal.abort());
    expect(never().aborted).toBe(false);
    await queue.close();
  });
});
