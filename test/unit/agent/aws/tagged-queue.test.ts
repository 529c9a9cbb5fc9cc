import {
  CreateQueueCommand,
  DeleteQueueCommand,
  ListQueueTagsCommand,
  QueueDoesNotExist,
} from '@aws-sdk/client-sqs';
import { describe, expect, test } from 'vitest';
import { NEVER } from '../../../../shared/abort.ts';
import type { Aws } from '../../../../shared/aws.ts';
import { signAs } from '../../../support/aws/fixture.ts';
import { insteadOnce, QUEUE, queueAndCloud, urlOf } from '../../../support/aws/queue-fixture.ts';
import { powerfulKey } from '../../../support/cloud/sqs.ts';

const tagsOf = async (aws: Aws) =>
  (await aws.sqs.send(new ListQueueTagsCommand({ QueueUrl: await urlOf(aws) }))).Tags;

const TAGS = {
  'trigger-deploy:env': 'dev',
  'trigger-deploy:instance': 'i-0a',
  'trigger-deploy:userid': 'AROAEMBEDDEDCLOUD:i-0a',
};

test('the queue is made with tags that say whose it is', async () => {
  const { hand, queue } = await queueAndCloud();
  await queue.ensure(NEVER);
  expect(await tagsOf(hand)).toEqual(TAGS);
});

test('a queue that an older agent made gets the tags', async () => {
  const { hand, queue } = await queueAndCloud();
  await hand.sqs.send(new CreateQueueCommand({ QueueName: QUEUE }));
  await queue.ensure(NEVER);
  expect(await tagsOf(hand)).toEqual(TAGS);
});

const denied = () => {
  throw Object.assign(new Error('not authorized'), {
    ...{ name: 'AccessDenied', $fault: 'client', $metadata: { httpStatusCode: 403 } },
  });
};

test('a role that may not tag gets its queue without tags', async () => {
  const { aws, hand, queue } = await queueAndCloud();
  signAs(aws, powerfulKey('i-0a'));
  insteadOnce(aws.sqs, 'CreateQueueCommand', denied);
  await queue.ensure(NEVER);
  expect(await tagsOf(hand)).toEqual({});
  expect((await queue.probe(NEVER)).every(({ ok }) => ok)).toBe(true);
});

test('a role that may not tag keeps the queue that it has', async () => {
  const { aws, hand, queue } = await queueAndCloud();
  signAs(aws, powerfulKey('i-0a'));
  await hand.sqs.send(new CreateQueueCommand({ QueueName: QUEUE }));
  insteadOnce(aws.sqs, 'TagQueueCommand', denied);
  await queue.ensure(NEVER);
  expect(await tagsOf(hand)).toEqual({});
});

test('a queue that is deleted before it gets its tags is made again, with tags', async () => {
  const { aws, hand, queue } = await queueAndCloud({ queueRecreationMs: 0 });
  await hand.sqs.send(new CreateQueueCommand({ QueueName: QUEUE }));
  const QueueUrl = await urlOf(aws);
  insteadOnce(aws.sqs, 'TagQueueCommand', () => {
    throw new QueueDoesNotExist({ message: 'gone', $metadata: {} });
  });
  await hand.sqs.send(new DeleteQueueCommand({ QueueUrl }));
  await queue.ensure(NEVER);
  expect(await tagsOf(hand)).toEqual(TAGS);
});

describe('the tags of the operator', () => {
  const queueTags = { team: 'payments' };

  test('are on a new queue, beside those of the agent', async () => {
    const { hand, queue } = await queueAndCloud({}, { queueTags, services: ['payments', 'billing'] });
    await queue.ensure(NEVER);
    expect(await tagsOf(hand)).toEqual({
      ...TAGS,
      team: 'payments',
      'trigger-deploy:services': 'billing payments',
    });
  });

  test('that were changed are set at the next start; the queue, its messages and other tags stay', async () => {
    const { hand, cloud, queue, again } = await queueAndCloud({}, { queueTags });
    await queue.ensure(NEVER);
    cloud.sendRaw(QUEUE, 'waits');
    await again({ queueTags: { team: 'billing' } }).ensure(NEVER);
    expect(await tagsOf(hand)).toEqual({ ...TAGS, team: 'billing' });
    expect(cloud.messages(QUEUE)).toEqual(['waits']);
  });

  test('that were removed stay: the role of an agent has no right to remove tags', async () => {
    const { hand, queue, again, asked } = await queueAndCloud({}, { queueTags });
    await queue.ensure(NEVER);
    await again({}).ensure(NEVER);
    expect(await tagsOf(hand)).toEqual({ ...TAGS, team: 'payments' });
    expect(asked()).not.toContain('UntagQueue');
  });

  test('that the role may not set do not cost the queue the tags of the agent', async () => {
    const { aws, hand, queue, again } = await queueAndCloud({}, { queueTags });
    insteadOnce(aws.sqs, 'CreateQueueCommand', denied);
    await queue.ensure(NEVER);
    expect(await tagsOf(hand)).toEqual(TAGS);
    insteadOnce(aws.sqs, 'TagQueueCommand', denied, 'once more');
    await again({ queueTags, services: ['payments'] }).ensure(NEVER);
    expect(await tagsOf(hand)).toEqual({ ...TAGS, 'trigger-deploy:services': 'payments' });
  });

  test('that SQS throttles do not keep the agent from its queue', async () => {
    const { aws, hand, queue, again } = await queueAndCloud({}, { queueTags });
    await queue.ensure(NEVER);
    insteadOnce(aws.sqs, 'TagQueueCommand', () => {
      throw Object.assign(new Error('slow down'), {
        ...{ name: 'RequestThrottled', $fault: 'client', $metadata: { httpStatusCode: 403 } },
      });
    });
    await again({ queueTags: { team: 'billing' } }).ensure(NEVER);
    expect(await tagsOf(hand)).toEqual({ ...TAGS, team: 'payments' });
  });
});

test('any other failure of the creation is a failure', async () => {
  const { aws, queue } = await queueAndCloud();
  const refused = () => {
    throw Object.assign(new Error('no'), {
      name: 'InvalidAttributeValue',
      $metadata: { httpStatusCode: 400 },
    });
  };
  insteadOnce(aws.sqs, 'CreateQueueCommand', refused);
  await expect(queue.ensure(NEVER)).rejects.toMatchObject({ code: 'AWS_REFUSED' });
});
