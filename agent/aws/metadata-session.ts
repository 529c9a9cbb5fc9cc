import { Agent, type IncomingMessage, request as send } from 'node:http';
import { deadline } from '../../shared/retry.ts';

/**
 * Reads the instance metadata with IMDSv2, over one connection that stays open, with one token that is kept until it
 * expires: a path can be read every few seconds for nothing.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
export interface MetadataSession {
  /**
   * The text at a path such as `spot/instance-action`, below `/latest/meta-data/`; undefined where there is none (404).
   * One try, of at most a second. @throws MetadataError, TIMEOUT, errors of the network, the reason of `signal`.
   */
  get(path: string, signal: AbortSignal): Promise<string | undefined>;
  /** Closes the connection. */
  close(): void;
}

/** EC2 User Guide, "Use the Instance Metadata Service": link-local, the same on every instance. */
export const METADATA_ENDPOINT = 'http://169.254.169.254';

/** The timeout of one request, ms. The service usually answers within milliseconds. */
const REQUEST_MS = 1000;
/** The longest that EC2 allows, seconds. A token that it forgets earlier is answered with 401, and replaced. */
const TOKEN_TTL_S = 21_600;
/** A token is replaced this long before it expires, ms. */
const RENEWED_BEFORE = 60_000;
/** A longer answer is none of the metadata service, bytes. */
const LONGEST_ANSWER = 64 * 1024;

/** An answer of the metadata service that has no text. */
export class MetadataError extends Error {
  readonly status: number;

  constructor(what: string, status: number) {
    super(`${what} answered ${status}`);
    this.status = status;
  }

  /** Whether the same request may succeed later: the service throttles, and it may not answer while it starts. */
  get isRetryable(): boolean {
    return this.status === 429 || this.status >= 500;
  }
}

/** `monotonic` is a clock that never jumps, ms. */
export function openMetadata(
  endpoint: string = METADATA_ENDPOINT,
  monotonic: () => number = () => performance.now(),
): MetadataSession {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let token: { text: string; until: number } | undefined;
  let renewing: Promise<string> | undefined;

  /** One renewal at a time: several paths may be asked for at once. */
  function tokenText(signal: AbortSignal): Promise<string> {
    if (token && monotonic() < token.until) return Promise.resolve(token.text);
    renewing ??= renew(signal).finally(() => {
      renewing = undefined;
    });
    return renewing;
  }

  async function renew(signal: AbortSignal): Promise<string> {
    const askedAt = monotonic();
    const path = '/latest/api/token';
    const ttl = { 'x-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_TTL_S) };
    const { status, text } = await ask('PUT', path, ttl, signal);
    if (status !== 200 || !/^[\x20-\x7e]{1,1024}$/.test(text)) throw new MetadataError(`PUT ${path}`, status);
    token = { text, until: askedAt + TOKEN_TTL_S * 1000 - RENEWED_BEFORE };
    return text;
  }

  async function ask(
    method: 'GET' | 'PUT',
    path: string,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<{ status: number; text: string }> {
    using limit = deadline(REQUEST_MS, signal, `${method} ${path}`);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const length = method === 'PUT' ? { 'content-length': '0' } : {};
    const options = { agent, method, headers: { ...headers, ...length }, signal: limit.signal };
    send(new URL(path, endpoint), options, resolve).on('error', reject).end();
    try {
      const response = await promise;
      let text = '';
      for await (const chunk of response.setEncoding('utf8')) {
        text += chunk;
        if (text.length > LONGEST_ANSWER) throw new Error(`${method} ${path}: the answer is too long`);
      }
      return { status: response.statusCode ?? 0, text: text.trim() };
    } catch (error) {
      // An aborted request fails with an AbortError; the signal has the reason.
      throw limit.signal.aborted ? limit.signal.reason : error;
    }
  }

  return {
    async get(path, signal) {
      const full = `/latest/meta-data/${path}`;
      for (let isAgain = false; ; isAgain = true) {
        const text = await tokenText(signal);
        const answer = await ask('GET', full, { 'x-aws-ec2-metadata-token': text }, signal);
        if (answer.status === 200) return answer.text;
        if (answer.status === 404) return undefined;
        // The token has expired: EC2 may forget it before its time.
        if (answer.status === 401 && token?.text === text) token = undefined;
        if (answer.status !== 401 || isAgain) throw new MetadataError(`GET ${full}`, answer.status);
      }
    },
    close: () => agent.destroy(),
  };
}
