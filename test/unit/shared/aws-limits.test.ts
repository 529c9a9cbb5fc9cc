import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand } from '@aws-sdk/client-s3';
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { fakeAws, rejection } from '../../support/aws/fixture.ts';

/** Calls to an AWS that accepts the request and never answers, and AWS's time. */

const read = new GetObjectCommand({ Bucket: 'acme', Key: 'state/dev/x.json' });
const write = new PutObjectCommand({ Bucket: 'acme', Key: 'state/dev/x.json', Body: '{}' });

async function silentAws(graceMs: { readMs: number; writeMs: number }) {
  const interrupted = new AbortController();
  const words: string[] = [];
  const asked = Promise.withResolvers<void>();
  const program = {
    interruption: { signal: interrupted.signal, ...graceMs },
    onSlow: (text: string) => void words.push(text),
  };
  const aws = await fakeAws(() => asked.resolve(), program);
  const interrupt = () => interrupted.abort(new TriggerDeployError('INTERRUPTED', 'interrupted'));
  return { aws, words, interrupt, asked: asked.promise };
}

test('Ctrl-C ends a read that has no answer, and a read that begins after it makes no request', async () => {
  const { aws, interrupt, asked } = await silentAws({ readMs: 0, writeMs: 500 });
  const reading = rejection(aws.s3.send(read));
  const polling = rejection(
    aws.sqs.send(new ReceiveMessageCommand({ QueueUrl: 'http://127.0.0.1:1/q', WaitTimeSeconds: 20 })),
  );
  await asked;
  const began = performance.now();
  interrupt();
  for (const failure of [reading, polling, rejection(aws.s3.send(read))]) {
    expect(await failure).toMatchObject({ code: 'INTERRUPTED', message: 'interrupted' });
  }
  // The long poll would last 20 s.
  expect(performance.now() - began).toBeLessThan(10_000);
});

test('after Ctrl-C a write has a moment to end, and then says that it may have been made', async () => {
  const { aws, interrupt, asked } = await silentAws({ readMs: 0, writeMs: 50 });
  const writing = rejection(aws.s3.send(write));
  await asked;
  interrupt();
  expect(await writing).toMatchObject({
    code: 'INTERRUPTED',
    message: 'interrupted while S3 did not answer (PutObject s3://acme/state/dev/x.json)',
    hint: expect.stringContaining('made or not'),
  });
});

test('after Ctrl-C an AWS that answers is still used', async () => {
  const interrupted = AbortSignal.abort('stop');
  const aws = await fakeAws((_request, response) => void response.end(), {
    interruption: { signal: interrupted, readMs: 1000, writeMs: 1000 },
  });
  await aws.s3.send(write);
});

test('the signal of a caller ends its call with its reason', async () => {
  const { aws, asked } = await silentAws({ readMs: 0, writeMs: 0 });
  const limit = new AbortController();
  const reading = rejection(aws.s3.send(read, { abortSignal: limit.signal }));
  await asked;
  limit.abort('too late');
  expect(await reading).toBe('too late');
});

test('after a second there is one word for many calls that wait, and none for a long poll', async () => {
  const { aws, words, interrupt } = await silentAws({ readMs: 0, writeMs: 0 });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const list = new ListObjectsV2Command({ Bucket: 'acme', Prefix: 'state/dev/' });
  const calls = [
    aws.s3.send(list),
    ...Array.from({ length: 20 }, () => aws.s3.send(read)),
    aws.sqs.send(new ReceiveMessageCommand({ QueueUrl: 'http://127.0.0.1:1/q', WaitTimeSeconds: 20 })),
  ].map(rejection);
  await vi.advanceTimersByTimeAsync(1500);
  expect(words).toEqual(['waiting for S3 (ListObjectsV2 s3://acme/state/dev/)']);
  interrupt();
  await Promise.all(calls);
});

test('AWS’s time stays right when the wall clock of the machine is set', async () => {
  const HOUR = 3_600_000;
  let date = new Date(Date.now() + HOUR).toUTCString();
  const aws = await fakeAws((_request, response) => void response.setHeader('date', date).end());
  const near = (time: number) => expect(Math.abs(aws.now() - time)).toBeLessThan(3000);
  near(Date.now());
  await aws.s3.send(write);
  const there = Date.now() + HOUR;
  near(there);
  const wall = vi.spyOn(Date, 'now');
  onTestFinished(() => wall.mockRestore());
  for (const step of [2 * HOUR, -5 * HOUR]) {
    wall.mockReturnValue(there + step);
    near(there);
  }
  // The next answer corrects the time, in both directions.
  date = new Date(there - 2 * HOUR).toUTCString();
  await aws.s3.send(write);
  near(there - 2 * HOUR);
  date = new Date(there).toUTCString();
  await aws.s3.send(write);
  near(there);
});
