import { SendMessageCommand, SetQueueAttributesCommand, UntagQueueCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { probeOwnQueue } from '../../../../agent/aws/probe-queue.ts';
import { NEVER } from '../../../../shared/abort.ts';
import type { Aws } from '../../../../shared/aws.ts';
import {
  attributesOf,
  insteadOnce,
  QUEUE,
  queueAndCloud,
  subscriptionsOf,
  urlOf,
  userId,
} from '../../../support/aws/queue-fixture.ts';

/** What `check` finds about the queue of this instance, and the calls that its role is denied. */

const services = ['payments'];
const queueTags = { team: 'money' };

async function ownQueue() {
  const world = await queueAndCloud({}, { services, queueTags });
  await world.queue.ensure(NEVER);
  const place = { env: 'dev', instance: 'i-0a', topic: world.topic };
  const about = { ...place, userId: await userId(), services, queueTags };
  return {
    ...world,
    async set(Attributes: Record<string, string>) {
      const QueueUrl = await urlOf(world.hand);
      await world.hand.sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes }));
    },
    probe: async () => await probeOwnQueue(world.aws, about, NEVER),
  };
}

const deny = (client: Aws['sqs'] | Aws['sns'], command: string) =>
  insteadOnce(client, command, () => {
    throw Object.assign(new Error('no'), { name: 'AccessDenied', $metadata: { httpStatusCode: 403 } });
  });

test('a queue as the agent makes it has nothing wrong, and looking changes nothing', async () => {
  const { hand, topic, cloud, probe } = await ownQueue();
  const before = [await attributesOf(hand), await subscriptionsOf(hand, topic), cloud.queues()];
  const found = await probe();
  expect(found.filter(({ ok, hint }) => !ok || hint !== undefined)).toEqual([]);
  expect(found.map(({ id }) => id)).toEqual([
    'queue-encryption',
    'queue-waiting',
    'queue-tags',
    'permission-missing',
  ]);
  expect([await attributesOf(hand), await subscriptionsOf(hand, topic), cloud.queues()]).toEqual(before);
  expect(cloud.messages(QUEUE)).toEqual([]);
});

test('a missing queue has no findings', async () => {
  const { aws, topic } = await queueAndCloud();
  const about = { env: 'dev', instance: 'i-0a', topic, userId: await userId(), services, queueTags };
  expect(await probeOwnQueue(aws, about, NEVER)).toEqual([]);
});

test('a queue without encryption and with other settings is wrong; the restart of the agent mends it', async () => {
  const { set, queue, probe } = await ownQueue();
  await set({ SqsManagedSseEnabled: 'false', VisibilityTimeout: '5' });
  expect((await probe()).filter(({ ok }) => !ok)).toMatchObject([
    { id: 'queue-encryption', hint: expect.stringContaining('restart the agent') },
    { id: 'queue-attributes', what: expect.stringContaining('VisibilityTimeout'), hint: expect.any(String) },
  ]);
  await queue.ensure(NEVER);
  expect((await probe()).filter(({ ok }) => !ok)).toEqual([]);
});

test('many messages that wait are a warning with their number', async () => {
  const { hand, probe, set } = await ownQueue();
  await set({ Policy: '' });
  const QueueUrl = await urlOf(hand);
  for (let i = 0; i < 20; i += 1) {
    await hand.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: `${i}` }));
  }
  expect(await probe()).toContainEqual(
    expect.objectContaining({
      ...{ id: 'queue-waiting', ok: true, what: expect.stringContaining('20 messages wait') },
      hint: expect.stringContaining('trigger-deploy-agent status'),
    }),
  );
});

test('a tag that is missing is a warning; tags that may not be read are none', async () => {
  const { hand, aws, probe } = await ownQueue();
  await hand.sqs.send(new UntagQueueCommand({ QueueUrl: await urlOf(hand), TagKeys: ['team'] }));
  expect(await probe()).toContainEqual(
    expect.objectContaining({ id: 'queue-tags', ok: true, what: expect.stringContaining('no tag team') }),
  );
  deny(aws.sqs, 'ListQueueTagsCommand');
  const unread = (await probe()).find(({ id }) => id === 'queue-tags');
  expect(unread).toMatchObject({ ok: true, what: expect.stringContaining('sqs:ListQueueTags') });
  expect(unread?.hint).toBeUndefined();
});

test('each call that the role is denied is named, with the command that prints the right policy', async () => {
  const { aws, probe } = await ownQueue();
  for (const command of ['DeleteMessageCommand', 'SendMessageCommand']) {
    deny(aws.sqs, command);
  }
  for (const command of ['SetSubscriptionAttributesCommand', 'UnsubscribeCommand']) deny(aws.sns, command);
  const found = (await probe()).filter(({ ok }) => !ok);
  expect(found.map(({ what }) => /call (\S+) on/.exec(what)?.[1])).toEqual([
    'sqs:DeleteMessage',
    'sqs:SendMessage',
    'sns:SetSubscriptionAttributes',
    'sns:Unsubscribe',
  ]);
  for (const { id, hint } of found)
    expect([id, hint]).toEqual(['permission-missing', expect.stringContaining('--print iam')]);
});
