import { DeleteQueueCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { isQueueGone } from '../../../../agent/aws/queue.ts';
import { NEVER } from '../../../../shared/abort.ts';
import { rejection, signAs } from '../../../support/aws/fixture.ts';
import { QUEUE, queueAndCloud, urlOf } from '../../../support/aws/queue-fixture.ts';
import { instanceKey } from '../../../support/cloud/sqs.ts';
import { takeDenials } from '../../../support/iam/ledger.ts';

/** The queue of an agent whose role may use only queues with its own tag (docs/GETTING-STARTED.md). */

test('the queue is created with its tags, and a message is received', async () => {
  const { cloud, queue } = await queueAndCloud();
  await queue.ensure(NEVER);
  await queue.ensure(NEVER);
  cloud.sendRaw(QUEUE, 'the announcement');
  expect(await queue.receive(NEVER)).toMatchObject([{ body: 'the announcement' }]);
});

test('a queue that is gone is recognised although AWS denies it, and ensure restores it', async () => {
  const { cloud, aws, queue } = await queueAndCloud({ queueRecreationMs: 0 });
  await queue.ensure(NEVER);
  await aws.sqs.send(new DeleteQueueCommand({ QueueUrl: await urlOf(aws) }));
  expect(isQueueGone(await rejection(queue.receive(NEVER)))).toBe(true);
  expect(takeDenials('agent')).toEqual([expect.stringContaining('sqs:ReceiveMessage')]);
  await queue.ensure(NEVER);
  cloud.sendRaw(QUEUE, 'again');
  expect(await queue.receive(NEVER)).toMatchObject([{ body: 'again' }]);
});

test('the queue of another is denied, and is not taken for one that is gone', async () => {
  const { cloud, aws, queue } = await queueAndCloud();
  await queue.ensure(NEVER);
  signAs(aws, instanceKey('i-0b'));
  const error = await rejection(queue.receive(NEVER));
  expect(error).toMatchObject({ code: 'AWS_DENIED' });
  expect(isQueueGone(error)).toBe(false);
  expect(takeDenials('agent')).toEqual([expect.stringContaining('sqs:ReceiveMessage')]);
  expect(cloud.queues()).toEqual([QUEUE]);
});
