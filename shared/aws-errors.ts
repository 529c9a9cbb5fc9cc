import { messageOf, TriggerDeployError } from './errors.ts';

/**
 * The errors of AWS as errors of this project. This is the only place that decides what an error of AWS means: it may
 * pass by itself, or AWS gives the same answer to each repetition.
 */

/**
 * `passing`: a retry can succeed (5xx, throttling, network, timeout). `denied`: AWS does not accept the caller.
 * `no-bucket`, `no-topic`, `elsewhere` (the bucket is in another region) and `refused`: the request, the config or the
 * settings of the resource are wrong.
 */
type AwsFault = 'passing' | 'denied' | 'no-bucket' | 'no-topic' | 'elsewhere' | 'refused';

/** Where the settings of a client come from, for hints: `/etc/trigger-deploy/agent.yaml: region`. */
export interface AwsPlaces {
  region?: string | undefined;
  bucket?: string | undefined;
  topic?: string | undefined;
}

/** The client that got an error: its region, and where that is configured. */
export interface AwsOrigin {
  region: string;
  places?: AwsPlaces | undefined;
  /** `S3`, `SNS`, …; S3 when left out. */
  service?: string | undefined;
}

const origins = new WeakMap<object, AwsOrigin>();

/** Notes which client got `error`, so that `awsError` can name its region and its config. */
export function noteOrigin(error: unknown, origin: AwsOrigin): void {
  if (typeof error === 'object' && error !== null) origins.set(error, origin);
}

interface SdkError {
  Code?: unknown;
  code?: unknown;
  /** In S3's answers to a request that was signed for another region. */
  Region?: unknown;
  /** In S3's redirects: `BUCKET.s3.REGION.amazonaws.com`. */
  Endpoint?: unknown;
  $retryable?: unknown;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

/**
 * The SDK's name of an error (`NoSuchKey`, `AccessDenied`), or a system code (`ECONNREFUSED`). An answer without a name,
 * such as each answer to a HEAD request, has its status as its name (`HTTP 403`).
 */
export function awsErrorName(error: unknown): string {
  if (!(error instanceof Error)) return '';
  const { Code, code } = error as SdkError;
  const status = awsStatus(error);
  if (error.name === 'Unknown' || (error.name === 'NotFound' && Code === undefined)) {
    return status === undefined ? '' : `HTTP ${status}`;
  }
  if (!GENERIC.has(error.name)) return error.name;
  const given = Code ?? code;
  if (typeof given === 'string') return given;
  return status === undefined ? '' : `HTTP ${status}`;
}

/** The names of errors that are not from AWS: their `code` says more. */
const GENERIC = new Set(['Error', 'AggregateError', 'TypeError', 'SyntaxError']);

export function awsStatus(error: unknown): number | undefined {
  return (error as SdkError | undefined)?.$metadata?.httpStatusCode;
}

/** Names of errors that pass, whatever their status is. S3, SNS, SQS, STS and KMS use 400, 403, 409 and 503 for them. */
const PASSING =
  /Throttl|^(SlowDown|(Http)?TooManyRequests\w*|Request(Limit|Rate)\w*|OverLimit|BandwidthLimitExceeded|ProvisionedThroughput\w+|PriorRequestNotComplete|TransactionInProgress\w*|LimitExceededException|RequestTimeout(Exception)?|TimeoutError|NetworkingError|OperationAborted|ConditionalRequestConflict|ConcurrentAccess\w*|Internal(Error|Failure|ServerError)\w*|ServiceUnavailable\w*|IDPCommunicationError\w*|IncompleteBody|BadDigest|(AWS\.SimpleQueueService\.)?QueueDeletedRecently|KMS\.?Internal\w*|(KMS\.)?(DependencyTimeout|KeyUnavailable)\w*)$/i;
/** System codes of a network that does not carry the request or the answer. */
const NETWORK =
  /^(ECONN\w+|ENOTFOUND|EAI_AGAIN|EPIPE|EHOST\w+|ENET\w+|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE|ABORT_ERR|UND_ERR\w*)$/;
/** Codes of Node for a certificate that it does not accept, or a server that does not speak TLS. */
const TLS = /^(CERT_\w+|ERR_TLS_\w+|ERR_SSL_\w+|SELF_SIGNED_\w+|DEPTH_ZERO_\w+|UNABLE_TO_\w+|EPROTO)$/;
const DENIED =
  /^(AccessDenied\w*|AllAccessDisabled|AuthFailure|UnauthorizedOperation|ExpiredToken\w*|TokenRefreshRequired|InvalidAccessKeyId|InvalidClientTokenId|MissingAuthenticationToken\w*|Missing(Security|Authentication)\w+|SignatureDoesNotMatch|InvalidSignature\w*|IncompleteSignature\w*|RequestTimeTooSkewed|RequestExpired|RequestInTheFuture|AuthorizationHeaderMalformed|UnrecognizedClientException|AuthorizationError\w*|NotAuthorized\w*|InvalidSecurity\w*|CredentialsProviderError|TokenProviderError|InvalidToken|NotSignedUp|OptInRequired|RegionDisabled\w*|Forbidden|KMS\.?AccessDenied\w*)$/i;
const NO_TOPIC = /^NotFound(Exception)?$/;
const REDIRECT = /^(PermanentRedirect|Redirect|IllegalLocationConstraintException|HTTP 301)$/;

/** Whether a repetition of the request can succeed: the only test that a retry of a call to AWS makes. */
export function isPassing(error: unknown): boolean {
  if (error instanceof TriggerDeployError) return error.code === 'AWS_UNREACHABLE';
  return faultOf(error) === 'passing';
}

function faultOf(error: unknown): AwsFault {
  const name = awsErrorName(error);
  const status = awsStatus(error);
  if (name === 'NoSuchBucket') return 'no-bucket';
  if (NO_TOPIC.test(name)) return 'no-topic';
  if (isElsewhere(error, name, status)) return 'elsewhere';
  if (PASSING.test(name) || (error as SdkError | undefined)?.$retryable) return 'passing';
  if (DENIED.test(name) || status === 401 || status === 403) return 'denied';
  if (status !== undefined) return isPassingStatus(status, name) ? 'passing' : 'refused';
  if (NETWORK.test(name)) return 'passing';
  return isWrongHere(error, name) ? 'refused' : 'passing';
}

/** An answer of 2xx that is no answer of AWS comes from a proxy or a portal, which may go away. */
function isPassingStatus(status: number, name: string): boolean {
  // S3 redirects requests to a new bucket until DNS knows it.
  if (status >= 500 || status === 307 || status === 408 || status === 429 || status < 300) return true;
  return status === 409 && (name === '' || name === 'HTTP 409');
}

/** Whether the error comes from this machine and stays: a certificate, an endpoint that is no URL, a bug. */
function isWrongHere(error: unknown, name: string): boolean {
  if (TLS.test(name)) return true;
  return error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
}

/**
 * Whether S3 says that the bucket is in another region: by a redirect or, if the request was signed for the wrong
 * region, by a 400 or 307 that names the right one.
 */
function isElsewhere(error: unknown, name: string, status: number | undefined): boolean {
  const { service = 'S3' } = origins.get(error as object) ?? {};
  if (service !== 'S3') return false;
  if (REDIRECT.test(name) || status === 301) return true;
  if (!/^(AuthorizationHeaderMalformed|TemporaryRedirect|HTTP 400|HTTP 307)$/.test(name)) return false;
  const region = regionNamed(error);
  return region !== undefined && region !== origins.get(error as object)?.region;
}

/** The region of the bucket, if S3 names it: in a header, in its answer, or in the host that it redirects to. */
function regionNamed(error: unknown): string | undefined {
  const { $response, Region, Endpoint } = error as SdkError;
  const header = $response?.headers?.['x-amz-bucket-region'];
  const host = /\bs3[.-]([a-z]{2,4}(?:-[a-z]+)+-\d+)\./.exec(String(Endpoint ?? ''))?.[1];
  return [header, Region, host].find((one) => typeof one === 'string' && /^[a-z0-9-]+$/.test(one)) as
    | string
    | undefined;
}

/** What a person can do about errors that AWS gives to each repetition, by name. The first that matches is used. */
const HINTS: readonly (readonly [name: RegExp, hint: string])[] = [
  [
    /^(ExpiredToken|TokenRefreshRequired)/,
    'the credentials have expired: sign in again (aws sso login), or get new ones; the role of an instance renews its own',
  ],
  [
    /^(RequestTimeTooSkewed|RequestExpired|RequestInTheFuture)/,
    'the clock of this machine differs from the clock of AWS by more than 15 minutes: set it (timedatectl)',
  ],
  [
    /^(SignatureDoesNotMatch|InvalidSignature|IncompleteSignature)/,
    'check the secret access key, the clock of this machine, and that no proxy changes requests',
  ],
  [
    /^(InvalidClientTokenId|InvalidAccessKeyId|UnrecognizedClient|InvalidToken|InvalidSecurity)/,
    'AWS does not know these credentials: check AWS_PROFILE, AWS_ACCESS_KEY_ID or the role of the instance, and that the region is of the same partition',
  ],
  [/^(OptInRequired|NotSignedUp|RegionDisabled)/, 'enable the service and the region in this AWS account'],
  [
    /^KMS\.?AccessDenied/i,
    'allow kms:GenerateDataKey and kms:Decrypt with the key that encrypts the topic, the queue or the bucket',
  ],
  [
    /^KMS/i,
    'check the KMS key that encrypts the topic, the queue or the bucket: it must exist and be enabled',
  ],
  [/^HTTP 407$/, 'the proxy asks for credentials: check HTTPS_PROXY and the settings of the proxy'],
  [
    TLS,
    'check AWS_ENDPOINT_URL, a proxy between here and AWS, and NODE_EXTRA_CA_CERTS if that proxy has its own certificate',
  ],
  [/^ERR_INVALID_URL$/, 'check AWS_ENDPOINT_URL: it must be a URL such as https://host:port'],
];
/** The SDK's text for an answer without a body. */
const NO_REASON = /^(Unknown(Error)?)?$/;
const DENIED_HINT =
  'check which credentials are used, that they have not expired, and what their role permits';
const REFUSED_HINT =
  'AWS refuses each repetition of this request: correct what it names, then run the command again';

/**
 * Turns an error of the SDK into a TriggerDeployError: what failed, why, and what to do. An error that may pass by
 * itself becomes AWS_UNREACHABLE; a request that AWS refuses becomes AWS_DENIED, AWS_REFUSED, CONFIG_INVALID (a bucket
 * of another region), BUCKET_NOT_FOUND or TOPIC_NOT_FOUND. A TriggerDeployError is returned unchanged. `doing` completes
 * "cannot …": `read the manifest of payments 1.4.2`.
 */
export function awsError(error: unknown, doing: string): TriggerDeployError {
  if (error instanceof TriggerDeployError) return error;
  const name = awsErrorName(error);
  const said = messageOf(error);
  const why = NO_REASON.test(said) ? '' : error instanceof SyntaxError ? 'not an answer of AWS' : said;
  const origin = typeof error === 'object' && error !== null ? origins.get(error) : undefined;
  const named = [name, why].filter(Boolean).join(': ') || 'no reason given';
  const hint = HINTS.find(([pattern]) => pattern.test(name))?.[1];
  switch (faultOf(error)) {
    case 'no-bucket':
      return new TriggerDeployError('BUCKET_NOT_FOUND', `cannot ${doing}: there is no such bucket`, {
        cause: error,
        hint: `check that ${settingOf('bucket', origin)} exists in the AWS account and region in use`,
      });
    case 'no-topic':
      return new TriggerDeployError('TOPIC_NOT_FOUND', `cannot ${doing}: ${why || name}`, {
        cause: error,
        hint: `check that ${settingOf('topic', origin)} exists in the AWS account and region in use`,
      });
    case 'elsewhere':
      return bucketElsewhere(error, doing, origin);
    case 'denied':
      if (name === 'CredentialsProviderError' || name === 'TokenProviderError') {
        return new TriggerDeployError('AWS_DENIED', `cannot ${doing}: no AWS credentials found (${why})`, {
          cause: error,
          hint: 'set AWS_PROFILE or AWS_ACCESS_KEY_ID, or give the instance a role',
        });
      }
      return new TriggerDeployError('AWS_DENIED', `cannot ${doing}: AWS refuses (${named})`, {
        cause: error,
        hint: hint ?? DENIED_HINT,
      });
    case 'refused':
      return new TriggerDeployError('AWS_REFUSED', `cannot ${doing}: ${refusal(error, name, named)}`, {
        cause: error,
        hint: hint ?? REFUSED_HINT,
      });
    case 'passing':
      return NETWORK.test(name) || name === 'TimeoutError' || name === 'NetworkingError'
        ? new TriggerDeployError('AWS_UNREACHABLE', `cannot ${doing}: AWS does not answer (${name})`, {
            cause: error,
            hint: 'check the network, the region, and AWS_ENDPOINT_URL if it is set',
          })
        : new TriggerDeployError('AWS_UNREACHABLE', `cannot ${doing}: ${named}`, { cause: error });
  }
}

function refusal(error: unknown, name: string, named: string): string {
  if (TLS.test(name)) return `no secure connection to AWS (${named})`;
  return awsStatus(error) === undefined ? named : `AWS refuses (${named})`;
}

function bucketElsewhere(error: unknown, doing: string, origin: AwsOrigin | undefined): TriggerDeployError {
  const region = regionNamed(error);
  const there = region === undefined ? 'another region' : region;
  const here = origin === undefined ? '' : `, not in ${origin.region}`;
  return new TriggerDeployError('CONFIG_INVALID', `cannot ${doing}: the bucket is in ${there}${here}`, {
    cause: error,
    hint: `correct ${settingOf('bucket', origin)} or ${settingOf('region', origin)}: topic, queues and bucket must be in one region`,
  });
}

function settingOf(key: keyof AwsPlaces, origin: AwsOrigin | undefined): string {
  const place = origin?.places?.[key];
  return place === undefined ? `\`${key}\` in the config` : `\`${key}\` (${place})`;
}
