import type { ServerResponse } from 'node:http';
import { GetObjectCommand, HeadObjectCommand } from '@aws-sdk/client-s3';
import { PublishCommand } from '@aws-sdk/client-sns';
import { GetQueueUrlCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { awsError, isPassing } from '../../../shared/aws-errors.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { fakeAws, rejection } from '../../support/aws/fixture.ts';
import { CloudError, errorAnswer } from '../../support/cloud/errors.ts';

/** The errors that AWS documents for its services, and what each means to both programs. */

type Service = 's3' | 'sns' | 'sqs';

/** `passes`: retried, and AWS_UNREACHABLE in the end. The others fail at once with that code. */
const TABLE: readonly (readonly [Service, number, string, string])[] = [
  ...rows('s3', 'passes', [
    [400, 'RequestTimeout BadDigest IncompleteBody'],
    [408, 'AnythingAtAll'],
    [409, 'OperationAborted ConditionalRequestConflict'],
    [429, 'TooManyRequestsException'],
    [500, 'InternalError KMS.InternalException'],
    [503, 'SlowDown ServiceUnavailable RequestLimitExceeded Throttling'],
    [504, 'AnythingAtAll'],
  ]),
  ...rows('s3', 'AWS_DENIED', [
    [400, 'ExpiredToken InvalidToken TokenRefreshRequired'],
    [401, 'Unauthorized'],
    [
      403,
      'AccessDenied AllAccessDisabled AccountProblem InvalidAccessKeyId SignatureDoesNotMatch RequestTimeTooSkewed NotSignedUp InvalidObjectState KMS.AccessDeniedException',
    ],
  ]),
  ...rows('s3', 'AWS_REFUSED', [
    [
      400,
      'InvalidArgument InvalidRequest InvalidBucketName InvalidDigest MalformedXML EntityTooLarge InvalidPart KMS.DisabledException KMS.NotFoundException KMS.KMSInvalidStateException KMS.InvalidKeyUsageException',
    ],
    [404, 'NoSuchUpload NoSuchVersion'],
    [405, 'MethodNotAllowed'],
    [409, 'InvalidBucketState BucketAlreadyExists'],
    [411, 'MissingContentLength'],
    [412, 'PreconditionFailed'],
  ]),
  ...rows('s3', 'BUCKET_NOT_FOUND', [[404, 'NoSuchBucket']]),
  ...rows('s3', 'CONFIG_INVALID', [[301, 'PermanentRedirect']]),
  ...rows('sns', 'passes', [
    [400, 'KMSThrottling Throttling'],
    [429, 'Throttled'],
    [409, 'ConcurrentAccess'],
    [500, 'InternalError InternalFailure'],
    [503, 'ServiceUnavailable'],
  ]),
  ...rows('sns', 'AWS_DENIED', [
    [400, 'KMSAccessDenied IncompleteSignature'],
    [
      403,
      'AuthorizationError InvalidSecurity InvalidClientTokenId MissingAuthenticationToken ExpiredToken SignatureDoesNotMatch OptInRequired RequestExpired AccessDenied',
    ],
  ]),
  ...rows('sns', 'AWS_REFUSED', [
    [
      400,
      'InvalidParameter ParameterValueInvalid EndpointDisabled PlatformApplicationDisabled KMSDisabled KMSInvalidState KMSNotFound KMSOptInRequired ValidationError BatchRequestTooLong',
    ],
  ]),
  ...rows('sns', 'TOPIC_NOT_FOUND', [[404, 'NotFound']]),
  ...rows('sqs', 'passes', [
    [400, 'KmsThrottled RequestThrottled ThrottlingException QueueDeletedRecently'],
    [403, 'OverLimit'],
    [500, 'InternalFailure'],
    [503, 'ServiceUnavailable'],
  ]),
  ...rows('sqs', 'AWS_DENIED', [
    [400, 'KmsAccessDenied AccessDeniedException UnrecognizedClientException ExpiredTokenException'],
    [403, 'AccessDenied InvalidSecurity InvalidClientTokenId InvalidSignatureException'],
  ]),
  ...rows('sqs', 'AWS_REFUSED', [
    [
      400,
      'QueueDoesNotExist QueueNameExists InvalidAttributeName InvalidAttributeValue InvalidAddress InvalidParameterValue InvalidMessageContents UnsupportedOperation ReceiptHandleIsInvalid KmsDisabled KmsInvalidState KmsNotFound KmsOptInRequired KmsInvalidKeyUsage BatchRequestTooLong',
    ],
  ]),
];

function rows(service: Service, code: string, list: readonly (readonly [number, string])[]) {
  return list.flatMap(([status, names]) =>
    names.split(' ').map((name) => [service, status, name, code] as const),
  );
}

/** For the SDK: the first answer counts. */
const neverAgain = {
  mode: 'standard',
  acquireInitialRetryToken: async () => ({ getRetryCount: () => 0, getRetryDelay: () => 0 }),
  refreshRetryTokenForRetry: () => Promise.reject(new Error('no retry')),
  recordSuccess: () => undefined,
};

type Answer = (response: ServerResponse, method: string) => void;

/** Clients that make one attempt, of a server that gives `answer.now` to each request. */
async function answering() {
  const answer: { now: Answer } = { now: (response) => response.end() };
  const aws = await fakeAws((request, response) => {
    request.resume().on('end', () => answer.now(response, String(request.method)));
  });
  for (const client of [aws.s3, aws.sns, aws.sqs]) {
    Object.assign(client.config, { retryStrategy: async () => neverAgain });
  }
  const get = () => aws.s3.send(new GetObjectCommand({ Bucket: 'acme', Key: 'k' }));
  const calls: Record<Service | 'head', () => Promise<unknown>> = {
    s3: get,
    sns: () =>
      aws.sns.send(new PublishCommand({ TopicArn: 'arn:aws:sns:eu-west-1:123456789012:t', Message: 'm' })),
    sqs: () => aws.sqs.send(new GetQueueUrlCommand({ QueueName: 'q' })),
    head: () => aws.s3.send(new HeadObjectCommand({ Bucket: 'acme', Key: 'k' })),
  };
  return {
    async failure(of: Service | 'head', now: Answer) {
      answer.now = now;
      const error = await rejection(calls[of]());
      return { error: awsError(error, 'do it'), passing: isPassing(error) };
    },
  };
}

test('each documented error of S3, SNS and SQS is retried, or fails at once as what it is', async () => {
  const aws = await answering();
  for (const [service, status, name, code] of TABLE) {
    const { error, passing } = await aws.failure(service, (response) => {
      const { headers, body } = errorAnswer(service, new CloudError(status, name, 'the reason'));
      response.writeHead(status, headers).end(body);
    });
    const seen = `${service} ${status} ${name}: ${error.code} ${passing ? 'passes' : ''}`;
    const wanted = code === 'passes' ? 'AWS_UNREACHABLE passes' : `${code} `;
    expect(seen).toBe(`${service} ${status} ${name}: ${wanted}`);
    if (code !== 'passes') expect(error.hint, seen).toBeTruthy();
  }
});

test.each([
  ['MalformedPolicyDocument', 400, 'AWS_REFUSED'],
  ['PackedPolicyTooLarge', 400, 'AWS_REFUSED'],
  ['RegionDisabledException', 403, 'AWS_DENIED'],
  ['ExpiredTokenException', 400, 'AWS_DENIED'],
  ['InvalidIdentityToken', 400, 'AWS_REFUSED'],
  ['IDPRejectedClaim', 403, 'AWS_DENIED'],
  ['IDPCommunicationError', 400, 'AWS_UNREACHABLE'],
  ['InvalidClientTokenId', 403, 'AWS_DENIED'],
  ['KMSInternalException', 500, 'AWS_UNREACHABLE'],
  ['DependencyTimeoutException', 503, 'AWS_UNREACHABLE'],
  ['KeyUnavailableException', 500, 'AWS_UNREACHABLE'],
  ['KMSInvalidStateException', 409, 'AWS_REFUSED'],
  ['DisabledException', 409, 'AWS_REFUSED'],
  ['InvalidKeyUsageException', 400, 'AWS_REFUSED'],
])('%s of STS or KMS, HTTP %s, is %s', (name, httpStatusCode, code) => {
  const error = Object.assign(new Error('the reason'), { name, $metadata: { httpStatusCode } });
  expect(awsError(error, 'do it')).toMatchObject({ code });
});

test.each([
  ...['ECONNREFUSED', 'ECONNRESET', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'EPIPE'].map(
    (code) => [code, 'AWS_UNREACHABLE'] as const,
  ),
  ...['CERT_HAS_EXPIRED', 'SELF_SIGNED_CERT_IN_CHAIN', 'ERR_TLS_CERT_ALTNAME_INVALID', 'EPROTO'].map(
    (code) => [code, 'AWS_REFUSED'] as const,
  ),
  ['ERR_STREAM_PREMATURE_CLOSE', 'AWS_UNREACHABLE'] as const,
])('the system error %s is %s', (code, wanted) => {
  const error = Object.assign(new Error('the reason'), { code });
  expect(awsError(error, 'do it')).toMatchObject({ code: wanted, message: expect.stringContaining(code) });
});

test('an endpoint that is no URL, and a bug, are not taken for an outage', () => {
  const url = Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL' });
  expect(awsError(url, 'do it')).toMatchObject({
    code: 'AWS_REFUSED',
    hint: expect.stringMatching('ENDPOINT_URL'),
  });
  expect(isPassing(new TypeError('x is not a function'))).toBe(false);
});

test('a HEAD answer has no body: its status and headers say what it is', async () => {
  const aws = await answering();
  const plain = async (status: number, headers = {}) =>
    (await aws.failure('head', (response) => response.writeHead(status, headers).end())).error;
  expect(await plain(403)).toMatchObject({
    code: 'AWS_DENIED',
    message: 'cannot do it: AWS refuses (HTTP 403)',
  });
  expect(await plain(401)).toMatchObject({ code: 'AWS_DENIED' });
  expect(await plain(400)).toMatchObject({
    code: 'AWS_REFUSED',
    message: 'cannot do it: AWS refuses (HTTP 400)',
  });
  expect(await plain(404)).toMatchObject({ code: 'AWS_REFUSED' });
  expect(await plain(503)).toMatchObject({ code: 'AWS_UNREACHABLE', message: 'cannot do it: HTTP 503' });
  const there = { 'x-amz-bucket-region': 'eu-central-1' };
  const elsewhere = {
    code: 'CONFIG_INVALID',
    message: 'cannot do it: the bucket is in eu-central-1, not in eu-west-1',
  };
  expect(await plain(301, there)).toMatchObject(elsewhere);
  expect(await plain(400, there)).toMatchObject(elsewhere);
  // S3 names the region of the bucket with other errors, too.
  expect(await plain(403, { 'x-amz-bucket-region': 'eu-west-1' })).toMatchObject({ code: 'AWS_DENIED' });
  expect(await plain(400, { 'x-amz-bucket-region': 'eu-west-1' })).toMatchObject({ code: 'AWS_REFUSED' });
});

test('a bucket of another region is named with its region, however S3 names it', async () => {
  const aws = await answering();
  const xml = async (status: number, inner: string, headers = {}) => {
    const body = `<?xml version="1.0"?><Error>${inner}<Message>m</Message></Error>`;
    return (await aws.failure('s3', (response) => response.writeHead(status, headers).end(body))).error;
  };
  const elsewhere = {
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('is in eu-central-1, not in eu-west-1'),
  };
  const malformed = '<Code>AuthorizationHeaderMalformed</Code>';
  expect(await xml(400, `${malformed}<Region>eu-central-1</Region>`)).toMatchObject(elsewhere);
  const endpoint = (name: string) =>
    `<Code>${name}</Code><Endpoint>acme.s3.eu-central-1.amazonaws.com</Endpoint>`;
  expect(await xml(301, endpoint('PermanentRedirect'))).toMatchObject(elsewhere);
  expect(await xml(307, endpoint('TemporaryRedirect'))).toMatchObject(elsewhere);
  expect(await xml(301, '<Code>PermanentRedirect</Code>')).toMatchObject({
    message: 'cannot do it: the bucket is in another region, not in eu-west-1',
  });
  // The same names for other reasons: a bad key, and a new bucket that DNS does not know yet.
  expect(await xml(400, malformed)).toMatchObject({ code: 'AWS_DENIED' });
  expect(await xml(307, '<Code>TemporaryRedirect</Code>')).toMatchObject({ code: 'AWS_UNREACHABLE' });
});

test('a page of a proxy is not taken for an answer of AWS', async () => {
  const aws = await answering();
  const page = async (of: Service, status: number) =>
    (await aws.failure(of, (response) => response.writeHead(status).end('<html>hello</html>'))).error;
  expect(await page('sqs', 200)).toMatchObject({
    code: 'AWS_UNREACHABLE',
    message: 'cannot do it: HTTP 200: not an answer of AWS',
  });
  expect(await page('sqs', 502)).toMatchObject({ code: 'AWS_UNREACHABLE' });
  expect(await page('sns', 407)).toMatchObject({
    code: 'AWS_REFUSED',
    hint: expect.stringContaining('proxy'),
  });
});

test('an error of this project is passed on as it is', () => {
  const error = new TriggerDeployError('FENCED', 'the lock was lost');
  expect(awsError(error, 'do it')).toBe(error);
  expect(isPassing(error)).toBe(false);
  expect(isPassing(new TriggerDeployError('AWS_UNREACHABLE', 'no answer'))).toBe(true);
});
