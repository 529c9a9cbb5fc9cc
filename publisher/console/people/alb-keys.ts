import { regionOfArn } from '../../../shared/aws-names.ts';

/**
 * The public keys with which a load balancer signs. Elastic Load Balancing, "Authenticate users using an Application Load
 * Balancer" (User claims encoding and signature verification): each key has an address of its own, a UUID.
 */

/** `kid` is written by whoever sends the token: nothing but a UUID gets into an address. */
const KEY_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
export const isKeyId = (kid: unknown): kid is string => typeof kid === 'string' && KEY_ID.test(kid);

const FETCH_MS = 3_000;
const LONGEST_KEY = 10_000;
/** A load balancer signs with one key, and with a second one while they change. */
const MOST_KEYS = 8;
const KEPT_MS = 24 * 60 * 60 * 1000;
/** How many keys are asked for in `WINDOW_MS`: made-up ids must not become a flood of requests. */
const MOST_FETCHES = 10;
const WINDOW_MS = 60_000;
/** What failed counts this long only: a short failure of the address must not keep everybody out for a minute. */
const FAILED_MS = 2000;

/**
 * Where the keys of a load balancer's region are, as the same page has it for `aws` and `aws-us-gov`. It has nothing for
 * `aws-cn`: there `trust.keys` is required.
 */
export function keyAddress(alb: string): string {
  const region = regionOfArn(alb);
  return alb.startsWith('arn:aws-us-gov:')
    ? `https://s3-${region}.amazonaws.com/aws-elb-public-keys-prod-${region}`
    : `https://public-keys.auth.elb.${region}.amazonaws.com`;
}

export interface KeyStore<K> {
  /** The key. Rejects when it cannot be had now; undefined when there is none. */
  find(kid: string): Promise<K | undefined>;
  /** Keeps a key that has verified a token of our load balancer: no other is kept. */
  keep(kid: string, key: K): void;
}

export interface KeyStoreOptions<K> {
  address: string;
  monotonic(): number;
  /** @throws when it is no public key. */
  read(pem: string): Promise<K>;
}

/**
 * A key is kept once it has verified a token, and then for a day: neither made-up ids nor the keys of other load balancers
 * push it out. The answer about any other id is remembered for a minute, at most 10 of them: while more come, unknown ids
 * are refused, and those who use a kept key notice nothing.
 */
export function createKeyStore<K>({ address, monotonic, read }: KeyStoreOptions<K>): KeyStore<K> {
  const kept = new Map<string, { key: K; until: number }>();
  const unproven = new Map<string, { key: Promise<K | undefined>; at: number }>();
  let fetches: { until: number }[] = [];

  const fetchKey = async (kid: string): Promise<K | undefined> => {
    const answer = await fetch(`${address}/${kid}`, {
      redirect: 'error',
      signal: AbortSignal.timeout(FETCH_MS),
    });
    // S3 answers 403 for a key that does not exist where it may not be listed.
    if (answer.status === 404 || answer.status === 403) return undefined;
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    return await read(await boundedText(answer, LONGEST_KEY));
  };

  return {
    async find(kid) {
      const now = monotonic();
      const found = kept.get(kid);
      if (found !== undefined && found.until > now) return found.key;
      fetches = fetches.filter(({ until }) => until > now);
      for (const [other, { at }] of unproven) if (at <= now - WINDOW_MS) unproven.delete(other);
      const asked = unproven.get(kid);
      if (asked !== undefined) return await asked.key;
      if (fetches.length >= MOST_FETCHES) throw new Error('too many unknown keys were asked for');
      const own = { until: now + WINDOW_MS };
      fetches.push(own);
      const key = fetchKey(kid);
      unproven.set(kid, { key, at: now });
      // What failed is asked for again by the next request.
      key.catch(() => {
        unproven.delete(kid);
        own.until = monotonic() + FAILED_MS;
      });
      return await key;
    },
    keep(kid, key) {
      unproven.delete(kid);
      const own = kept.get(kid);
      if (own !== undefined && own.until > monotonic()) return;
      kept.delete(kid);
      const [oldest] = kept.keys();
      if (kept.size >= MOST_KEYS && oldest !== undefined) kept.delete(oldest);
      kept.set(kid, { key, until: monotonic() + KEPT_MS });
    },
  };
}

/** @throws when the body is longer than `most` bytes. */
export async function boundedText(answer: Response, most: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of answer.body ?? []) {
    length += chunk.length;
    if (length > most) throw new Error(`the answer has more than ${most} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
