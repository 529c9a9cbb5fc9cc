import { CreateQueueCommand, ListQueueTagsCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { NEVER } from '../../../../shared/abort.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { QUEUE, queueAndCloud, urlOf } from '../../../support/aws/queue-fixture.ts';

const tagsOf = async (aws: Aws) =>
  (await aws.sqs.send(new ListQueueTagsCommand({ QueueUrl: await urlOf(aws) }))).Tags;

const TAGS = {
  'trigger-deploy:env': 'dev',
  'trigger-deploy:instance': 'i-0a',
  'trigger-deploy:userid': 'AROAEMBEDDEDCLOUD:i-0a',
};

test('the queue is made with tags that say whose it is', async () => {
  const { aws, queue } = await queueAndCloud();
  await queue.ensure(NEVER);
  expect(await tagsOf(aws)).toEqual(TAGS);
});

test('a queue that an older agent made gets the tags', async () => {
  const { aws, queue } = await queueAndCloud();
  await aws.sqs.send(new CreateQueueCommand({ QueueName: QUEUE }));
  await queue.ensure(NEVER);
  expect(await tagsOf(aws)).toEqual(TAGS);
});
