import type { ServerResponse } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { GetObjectCommand, HeadObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { PublishCommand } from '@aws-sdk/client-sns';
import { CreateQueueCommand } from '@aws-sdk/client-sqs';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type Aws, createAws } from '../../../shared/aws.ts';
import { awsError, isPassing } from '../../../shared/aws-errors.ts';
import { fakeAws, rejection } from '../../support/aws/fixture.ts';
import { freePort } from '../../support/ports.ts';
import { proved } from '../../support/reliability.ts';

/** Answers that are no answers of AWS, and connections that do not carry one, as the real clients see them. */

const CALLS: Record<string, (aws: Aws) => Promise<unknown>> = {
  list: ({ s3 }) => s3.send(new ListObjectsV2Command({ Bucket: 'acme' })),
  read: async ({ s3 }) =>
    (await s3.send(new GetObjectCommand({ Bucket: 'acme', Key: 'k' }))).Body?.transformToString(),
  head: ({ s3 }) => s3.send(new HeadObjectCommand({ Bucket: 'acme', Key: 'k' })),
  publish: ({ sns }) =>
    sns.send(new PublishCommand({ TopicArn: 'arn:aws:sns:eu-west-1:123456789012:t', Message: 'm' })),
  queue: ({ sqs }) => sqs.send(new CreateQueueCommand({ QueueName: 'q' })),
};
const S3_CALLS = ['list', 'read', 'head'];
const ALL = Object.keys(CALLS);
/** For the SDK: the first answer counts. */
const once = {
  mode: 'standard',
  acquireInitialRetryToken: async () => ({ getRetryCount: () => 0, getRetryDelay: () => 0 }),
  refreshRetryTokenForRetry: () => Promise.reject(new Error('no retry')),
  recordSuccess: () => undefined,
};

async function outcome(aws: Aws, call: string): Promise<string> {
  for (const client of [aws.s3, aws.sns, aws.sqs]) {
    Object.assign(client.config, { retryStrategy: async () => once });
  }
  const error = await rejection(CALLS[call]?.(aws) ?? Promise.resolve());
  return `${awsError(error, 'do it').code}${isPassing(error) ? ', passes' : ''}`;
}
const outcomes = async (aws: Aws, calls: readonly string[]) =>
  [...new Set(await Promise.all(calls.map((call) => outcome(aws, call))))].join('; ');

const redirect = (status: number) => (response: ServerResponse) =>
  void response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('<html>sign in</html>');

test.each<[string, (response: ServerResponse) => void, readonly string[], string]>([
  [
    'half a body',
    (response) => {
      response.writeHead(200, { 'content-length': 500 }).write('{"Queue');
      setTimeout(() => response.socket?.destroy(), 20);
    },
    ['list', 'read', 'publish', 'queue'],
    'AWS_UNREACHABLE, passes',
  ],
  ['503 without a body', (response) => void response.writeHead(503).end(), ALL, 'AWS_UNREACHABLE, passes'],
  ['403 without a body', (response) => void response.writeHead(403).end(), ALL, 'AWS_DENIED'],
  ['301 without a body', (response) => void response.writeHead(301).end(), S3_CALLS, 'CONFIG_INVALID'],
  ['301 to a page', redirect(301), ['publish', 'queue'], 'AWS_REFUSED'],
  ['302 to a page', redirect(302), ALL, 'AWS_REFUSED'],
  ['307 to a page', redirect(307), ALL, 'AWS_UNREACHABLE, passes'],
])('%s is judged as what it is', async (_, answer, calls, wanted) => {
  const aws = await fakeAws((request, response) => void request.resume().on('end', () => answer(response)));
  expect(await outcomes(aws, calls)).toBe(wanted);
  proved('aws-errors', 'half a body, 503, 403 and redirects without a body, pages');
});

test('a refused connection and an unknown host pass; a server without TLS does not', async () => {
  const plain = createServer(
    (socket) => void socket.on('error', () => undefined).end('HTTP/1.1 400 no\r\n\r\n'),
  );
  await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void plain.close());
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'anyone')
    .stubEnv('AWS_SECRET_ACCESS_KEY', 'anything')
    .stubEnv('AWS_PROFILE', '');
  const at = async (endpoint: string) => {
    vi.stubEnv('AWS_ENDPOINT_URL', endpoint);
    const aws = createAws({ region: 'eu-west-1', pathStyle: true });
    onTestFinished(() => aws.close());
    return await outcomes(aws, ['list', 'publish', 'queue']);
  };
  expect(await at(`http://127.0.0.1:${await freePort()}`)).toBe('AWS_UNREACHABLE, passes');
  expect(await at('http://no-such-host.invalid')).toBe('AWS_UNREACHABLE, passes');
  expect(await at(`https://127.0.0.1:${(plain.address() as AddressInfo).port}`)).toBe('AWS_REFUSED');
  proved('aws-errors', 'refused connections, unknown hosts, no TLS');
});
