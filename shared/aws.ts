import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';
import { S3Client } from '@aws-sdk/client-s3';
import { SNSClient } from '@aws-sdk/client-sns';
import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import { fromNodeProviderChain, fromTemporaryCredentials } from '@aws-sdk/credential-providers';
import type { AwsPlaces } from './aws-errors.ts';
import { type CallLimits, type Interruption, limitCalls } from './aws-limits.ts';

export interface AwsOptions {
  region: string;
  /** A profile of the AWS config files. */
  profile?: string | undefined;
  /** The ARN of a role to assume with the credentials that are found. */
  role?: string | undefined;
  /** Whether S3 addresses are `http://host/bucket/key` instead of `http://bucket.host/key`. */
  pathStyle?: boolean | undefined;
  /** Where region, bucket and topic are configured, for hints. */
  places?: AwsPlaces | undefined;
}

/** What the program that makes the calls adds to their limits, and its connections, if not the SDK's own. */
export type AwsProgram = Pick<CallLimits, 'interruption' | 'onSlow'> & { connections?: Connections };
type Connections = { httpAgent: HttpAgent; httpsAgent: HttpsAgent };

export type { Interruption };

export interface Aws {
  sqs: SQSClient;
  sns: SNSClient;
  s3: S3Client;
  /** The settings of each client, for a client of another AWS service. */
  settings: Pick<SQSClientConfig, 'region' | 'credentials' | 'maxAttempts' | 'requestHandler'>;
  /** Gives a client of another AWS service the same limits; `service` is its name for people. */
  limited<C extends object>(client: C, service: string): C;
  /**
   * The time by AWS's clock, ms since the epoch, from the Date headers of the answers. The clock of this machine may be
   * an hour off, and may be set while the program runs.
   */
  now(): number;
  /**
   * The same clients, over the same connections, whose calls also end with `limits`. They are not closed: the clients
   * that they come from are.
   */
  within(limits: Pick<CallLimits, 'interruption' | 'onSlow'>): Aws;
  close(): void;
}

/** Clocks that differ by up to this count as equal, ms, because a Date header has whole seconds. */
const CLOCK_NOISE_MS = 2000;

/**
 * Creates the three clients. Endpoints and credentials come from the SDK's own variables and files
 * (`AWS_ENDPOINT_URL`, `AWS_PROFILE`, …). `options` can name another profile, or a role. Each call has a deadline and
 * ends when the program is interrupted (aws-limits.ts).
 */
export function createAws(options: AwsOptions, program: AwsProgram = {}): Aws {
  const { region, places } = options;
  const base = fromNodeProviderChain({
    ...(options.profile === undefined ? {} : { profile: options.profile }),
    clientConfig: { region },
  });
  const credentials =
    options.role === undefined
      ? base
      : fromTemporaryCredentials({
          masterCredentials: base,
          params: { RoleArn: options.role, RoleSessionName: 'trigger-deploy' },
          clientConfig: { region },
        });
  const common = {
    region,
    credentials,
    maxAttempts: 4,
    // The timeout of each request is in aws-limits.ts. Without `throwOnRequestTimeout` the SDK only logs a warning.
    requestHandler: {
      ...{ connectionTimeout: 3000, requestTimeout: 30_000, throwOnRequestTimeout: true },
      ...program.connections,
    },
  };
  const limited = <C extends object>(client: C, service: string) =>
    limitCalls(client, service, { ...program, region, places });
  const sqs = limited(new SQSClient({ ...common, useQueueUrlAsEndpoint: false }), 'SQS');
  const sns = limited(new SNSClient(common), 'SNS');
  const s3 = limited(
    new S3Client({
      ...common,
      forcePathStyle: options.pathStyle ?? false,
      // A bucket with a default retention (Object Lock) refuses a PUT without a checksum. The SDK's CRC-32 is the one that
      // Node computes in native code.
      requestChecksumCalculation: 'WHEN_SUPPORTED',
      // The signed sha256 protects every file that is read; another checksum would only cost time.
      responseChecksumValidation: 'WHEN_REQUIRED',
    }),
    'S3',
  );
  const clock = createAwsClock();
  const place = { step: 'deserialize', priority: 'low', name: 'awsClock' } as const;
  // Not in a loop: each client has its own type of middleware.
  sqs.middlewareStack.add((next) => async (args) => await clock.read(() => next(args)), place);
  sns.middlewareStack.add((next) => async (args) => await clock.read(() => next(args)), place);
  s3.middlewareStack.add((next) => async (args) => await clock.read(() => next(args)), place);
  const aws: Aws = {
    ...{ sqs, sns, s3, settings: common, limited, now: clock.now },
    within(limits) {
      const more = { ...limits, region, places };
      return {
        ...aws,
        sqs: narrowed(sqs, 'SQS', more),
        sns: narrowed(sns, 'SNS', more),
        s3: narrowed(s3, 'S3', more),
        limited: (client, service) => limitCalls(client, service, more),
        close() {},
      };
    },
    close() {
      for (const client of [sqs, sns, s3]) client.destroy();
    },
  };
  return aws;
}

/** A view of `client` with limits of its own, in front of those of `client`. */
const narrowed = <C extends object>(client: C, service: string, limits: CallLimits): C =>
  limitCalls(Object.create(client) as C, service, limits);

/** The `Date` header of an answer, ms since the epoch; undefined when it has none. */
export function dateOf(response: unknown): number | undefined {
  const date = Date.parse((response as { headers?: Record<string, string> }).headers?.date ?? '');
  return Number.isNaN(date) ? undefined : date;
}

/**
 * AWS's time, kept on the monotonic clock: nobody can set that one, so the time is right between two answers even when
 * the wall clock of this machine is set. Until the first answer it is the wall clock as it was at the start.
 */
function createAwsClock() {
  let anchor = { time: Date.now(), at: performance.now() };
  const now = () => Math.round(anchor.time + performance.now() - anchor.at);
  return {
    now,
    async read<T extends { response: unknown }>(request: () => Promise<T>): Promise<T> {
      const sent = performance.now();
      const result = await request();
      const date = dateOf(result.response);
      if (date === undefined) return result;
      // AWS dates the answer when it makes it: since then, at most the whole time of the request has passed.
      const latest = date + performance.now() - sent;
      if (date - now() > CLOCK_NOISE_MS) anchor = { time: date, at: performance.now() };
      else if (now() - latest > CLOCK_NOISE_MS) anchor = { time: latest, at: performance.now() };
      return result;
    },
  };
}
