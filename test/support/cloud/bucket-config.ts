import { KINDS, OPERATIONS } from './bucket-kinds.ts';
import { CloudError } from './errors.ts';
import type { Call } from './requests.ts';

/**
 * The configurations of buckets, which fauxqs has not: each is kept as it was put, and given back so. Errors
 * are those of the S3 API Reference, "Error
 * responses", and of each operation.
 */

/** The account of this cloud, as in fauxqs' ARNs. */
export const ACCOUNT = '000000000000';
export interface ConfigAnswer {
  readonly status: number;
  readonly body: string;
}

export class BucketConfigs {
  readonly #region: string;
  readonly #configs = new Map<string, Map<string, string>>();
  /** The accounts of the buckets that are not this account's. */
  readonly #owners = new Map<string, string>();

  constructor(region: string) {
    this.#region = region;
  }

  /** A bucket of another account: it can only be found to exist. */
  giveAway(bucket: string): void {
    this.#owners.set(bucket, '999999999999');
  }

  /** As another tool sets it; undefined deletes it. */
  set(bucket: string, kind: string, config: string | undefined): void {
    const configs = this.#of(bucket);
    if (config === undefined) configs.delete(kind);
    else configs.set(kind, config);
  }

  get(bucket: string, kind: string): string | undefined {
    return this.#of(bucket).get(kind);
  }

  #of(bucket: string): Map<string, string> {
    const found = this.#configs.get(bucket);
    if (found !== undefined) return found;
    const first = new Map(
      Object.entries(KINDS).flatMap(([kind, { first }]) => (first === undefined ? [] : [[kind, first]])),
    );
    this.#configs.set(bucket, first);
    return first;
  }

  /** Throws for a bucket of another account, and for one whose owner is not the one that the request expects. */
  check({ record, headers }: Call): void {
    if (record.service !== 's3' || record.bucket === undefined || record.operation === 'CreateBucket') return;
    const owner = this.#owners.get(record.bucket) ?? ACCOUNT;
    const expected = headers['x-amz-expected-bucket-owner'] ?? owner;
    if (owner !== ACCOUNT || expected !== owner) throw new CloudError(403, 'AccessDenied', 'Access Denied');
  }

  /** S3 API Reference, "CreateBucket". `exists` is whether this account has it. Throws when it must not be created. */
  checkCreation(bucket: string, body: string, exists: boolean): void {
    const constraint = /<LocationConstraint>([^<]+)</.exec(body)?.[1];
    if (constraint === 'us-east-1') {
      throw new CloudError(
        400,
        'InvalidLocationConstraint',
        'The specified location-constraint is not valid',
      );
    }
    if ((constraint ?? 'us-east-1') !== this.#region) {
      const message = `The ${constraint ?? 'unspecified'} location constraint is incompatible for the region specific endpoint this request was sent to.`;
      throw new CloudError(400, 'IllegalLocationConstraintException', message);
    }
    if (this.#owners.has(bucket)) {
      throw new CloudError(409, 'BucketAlreadyExists', 'The requested bucket name is not available.');
    }
    // In us-east-1 the bucket is "created" again, and its ACL is reset.
    if (exists && this.#region !== 'us-east-1') {
      const message = 'Your previous request to create the named bucket succeeded and you already own it.';
      throw new CloudError(409, 'BucketAlreadyOwnedByYou', message);
    }
  }

  /** Answers a request about a configuration; undefined when it is about something else. */
  answer({ record }: Call, body: string, exists: boolean): ConfigAnswer | undefined {
    const { bucket = '', operation } = record;
    const asked = OPERATIONS.get(operation);
    if (asked === undefined) return undefined;
    if (!exists) throw new CloudError(404, 'NoSuchBucket', 'The specified bucket does not exist');
    const { verb, query } = asked;
    if (verb === 'Put') {
      checkBody(query, body);
      this.set(bucket, query, body);
      return { status: query === 'policy' ? 204 : 200, body: '' };
    }
    if (verb === 'Delete') {
      this.set(bucket, query, undefined);
      return { status: 204, body: '' };
    }
    const found = this.get(bucket, query);
    if (found !== undefined) return { status: 200, body: found };
    const [code = '', message = ''] = KINDS[query]?.missing ?? [];
    throw new CloudError(404, code, message);
  }
}

function checkBody(kind: string, body: string): void {
  if (
    kind === 'lifecycle' &&
    /<Filter/.test(body) &&
    /<Rule>(?:(?!<Filter).)*?<Prefix>/s.test(withoutFilters(body))
  ) {
    const message =
      'Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.';
    throw new CloudError(400, 'InvalidRequest', message);
  }
  if (kind !== 'policy') return;
  try {
    const { Statement } = JSON.parse(body);
    if (!Array.isArray(Statement) || Statement.length === 0) throw new Error('no statement');
  } catch {
    throw new CloudError(400, 'MalformedPolicy', 'Policies must be valid JSON and the first byte must be {');
  }
}

const withoutFilters = (body: string) => body.replace(/<Filter>.*?<\/Filter>|<Filter\/>/gs, '');
