import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import { messageOf, TriggerDeployError } from './errors.ts';

export interface AwsOptions {
  region: string;
  /** A profile of the AWS config files. */
  profile?: string | undefined;
  /** The ARN of a role to assume with the credentials that are found. */
  role?: string | undefined;
  /** Whether S3 addresses are `http://host/bucket/key` instead of `http://bucket.host/key`. */
  pathStyle?: boolean | undefined;
}

export interface Aws {
  sqs: SQSClient;
  sns: SNSClient;
  s3: S3Client;
  /** The settings of each client, for a client of another AWS service. */
  settings: Pick<SQSClientConfig, 'region' | 'credentials' | 'maxAttempts' | 'requestHandler'>;
  /**
   * The time by AWS's clock, ms since the epoch, from the Date headers of SQS and S3 answers. The clock of this machine
   * may be an hour off.
   */
  now(): number;
  close(): void;
}

/**
 * Clocks that differ by up to this count as equal, ms, because a Date header has whole seconds. An answer that took
 * longer than this is ignored, because the difference may be the delay of the answer.
 */
const CLOCK_NOISE_MS = 2000;

/**
 * Creates the three clients. Endpoints and credentials come from the SDK's own variables and files
 * (`AWS_ENDPOINT_URL`, `AWS_PROFILE`, …). `options` can name another profile, or a role.
 */
export function createAws(options: AwsOptions): Aws {
  let offset = 0;
  const base = fromNodeProviderChain({
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    clientConfig: { region: options.region },
  });
  const credentials =
    options.role === undefined
      ? base
      : fromTemporaryCredentials({
          masterCredentials: base,
          params: { RoleArn: options.role, RoleSessionName: 'trigger-deploy' },
          clientConfig: { region: options.region },
        });
  const common = {
    region: options.region,
    credentials,
    maxAttempts: 4,
    // A long poll takes 20 s, so a request without an answer after 30 s has failed. Without `throwOnRequestTimeout` the
    // SDK only logs a warning.
    requestHandler: { connectionTimeout: 3000, requestTimeout: 30_000, throwOnRequestTimeout: true },
  };
  const sqs = new SQSClient({ ...common, useQueueUrlAsEndpoint: false });
  const sns = new SNSClient(common);
  const s3 = new S3Client({
    ...common,
    forcePathStyle: options.pathStyle ?? false,
    // The signed sha256 protects every file; the SDK's CRC would only cost time.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const readClock = (response: unknown, tookMs: number) => {
    const date = Date.parse((response as { headers?: Record<string, string> }).headers?.date ?? '');
    if (Number.isNaN(date) || tookMs > CLOCK_NOISE_MS) return;
    const difference = date - Date.now();
    offset = Math.abs(difference) > CLOCK_NOISE_MS ? difference : 0;
  };
  const place = { step: 'deserialize', priority: 'low', name: 'awsClock' } as const;
  sqs.middlewareStack.add(
    (next) => async (args) => {
      const sent = performance.now();
      const result = await next(args);
      readClock(result.response, performance.now() - sent);
      return result;
    },
    place,
  );
  s3.middlewareStack.add(
    (next) => async (args) => {
      const sent = performance.now();
      const result = await next(args);
      readClock(result.response, performance.now() - sent);
      return result;
    },
    place,
  );
  return {
    sqs,
    sns,
    s3,
    settings: common,
    now: () => Date.now() + offset,
    close() {
      for (const client of [sqs, sns, s3]) client.destroy();
    },
  };
}

/** The SDK's name of an error (`NoSuchKey`, `AccessDenied`), or a system code (`ECONNREFUSED`). */
export function awsErrorName(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const code = (error as { Code?: unknown; code?: unknown }).Code ?? (error as { code?: unknown }).code;
  if (error.name === 'Error' || error.name === 'AggregateError') return typeof code === 'string' ? code : '';
  return error.name;
}

export function awsStatus(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}

const DENIED =
  /^(AccessDenied\w*|AuthFailure|ExpiredToken\w*|InvalidAccessKeyId|InvalidClientTokenId|MissingAuthenticationToken\w*|SignatureDoesNotMatch|UnrecognizedClientException|AuthorizationError\w*|CredentialsProviderError|InvalidToken|Forbidden|403)$/;
const UNREACHABLE =
  /^(ECONN\w+|ENOTFOUND|EAI_AGAIN|EPIPE|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|TimeoutError|NetworkingError)$/;

/**
 * Turns an error of the SDK into a TriggerDeployError: what failed, why, and what to do. An unknown error becomes
 * AWS_UNREACHABLE; a TriggerDeployError is returned unchanged. `doing` completes "cannot …":
 * `read the manifest of payments 1.4.2`.
 */
export function awsError(error: unknown, doing: string): TriggerDeployError {
  if (error instanceof TriggerDeployError) return error;
  const name = awsErrorName(error);
  const why = messageOf(error) || name;
  if (name === 'NoSuchBucket') {
    return new TriggerDeployError('BUCKET_NOT_FOUND', `cannot ${doing}: there is no such bucket`, {
      cause: error,
      hint: 'check that `bucket` in the config exists in the AWS account and region in use',
    });
  }
  if (name === 'NotFoundException' || name === 'NotFound') {
    return new TriggerDeployError('TOPIC_NOT_FOUND', `cannot ${doing}: ${why}`, {
      cause: error,
      hint: 'check that `topic` in the config exists in the AWS account and region in use',
    });
  }
  if (name === 'CredentialsProviderError') {
    return new TriggerDeployError('AWS_DENIED', `cannot ${doing}: no AWS credentials found`, {
      cause: error,
      hint: 'set AWS_PROFILE or AWS_ACCESS_KEY_ID, name a profile in the config, or give the instance a role',
    });
  }
  if (DENIED.test(name)) {
    return new TriggerDeployError('AWS_DENIED', `cannot ${doing}: AWS refuses (${name}: ${why})`, {
      cause: error,
      hint: 'check which credentials are used, that they have not expired, and what their role permits',
    });
  }
  if (UNREACHABLE.test(name)) {
    return new TriggerDeployError('AWS_UNREACHABLE', `cannot ${doing}: AWS does not answer (${name})`, {
      cause: error,
      hint: 'check the network, the region, and AWS_ENDPOINT_URL if it is set',
    });
  }
  return new TriggerDeployError('AWS_UNREACHABLE', `cannot ${doing}: ${name ? `${name}: ` : ''}${why}`, {
    cause: error,
  });
}
