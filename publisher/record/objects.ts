import { randomBytes } from 'node:crypto';
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import type * as z from 'zod';
import { NEVER } from '../../shared/abort.ts';
import { type Aws, dateOf } from '../../shared/aws.ts';
import { awsError, awsErrorName, awsStatus } from '../../shared/aws-errors.ts';
import { parseBoundedJson } from '../../shared/bounded-json.ts';
import { TriggerDeployError } from '../../shared/errors.ts';
import { bodyChunks } from '../../shared/s3-body.ts';

/** An object as it was read. A conditional write names its `etag`. */
interface StoredText {
  text: string;
  etag: string;
  lastModified: number; // ms since the epoch, by S3's clock
  /** When S3 answered, ms since the epoch, by S3's clock; undefined when the answer has no date. */
  readAt?: number | undefined;
}

export interface StoredValue<T> {
  value: T;
  etag: string;
  lastModified: number; // ms since the epoch, by S3's clock
  /** When S3 answered the read, ms since the epoch, by S3's clock; undefined when that is unknown. */
  readAt?: number | undefined;
}

interface ListedObject {
  key: string;
  etag: string;
  lastModified: number; // ms since the epoch, by S3's clock
}

/**
 * Reads and conditionally writes the objects of a bucket. A failure of AWS is thrown as `awsError` maps it.
 *
 * Each body must hold a fresh `nonce()`. When the answer to a write is lost, the SDK retries, and S3 refuses the retry
 * because the first try changed the object. `Objects` then reads the object: if it holds the same text, only this
 * writer can have written it, and the write counts as success.
 */
export interface Objects {
  /**
   * Undefined when there is no such object.
   * @throws DOCUMENT_INVALID when it is larger than `longest` bytes (`LONGEST` when left out); no more is read.
   */
  read(key: string, longest?: number): Promise<StoredText | undefined>;
  /**
   * Undefined when there is no object with this key. @throws DOCUMENT_INVALID when it does not match `schema`, or is
   * larger than `LONGEST_JSON`.
   */
  readJson<T>(key: string, schema: z.ZodType<T>): Promise<StoredValue<T> | undefined>;
  exists(key: string): Promise<boolean>;
  /** The ETag of the object, which is not read; undefined when there is none. */
  etagOf(key: string): Promise<string | undefined>;
  /** Creates an object; returns its ETag. @throws CONDITION_FAILED when it exists. */
  putNew(key: string, body: string): Promise<string>;
  /**
   * Replaces the object if it still has this `etag`; returns the new ETag. @throws CONDITION_FAILED when it was changed
   * or deleted.
   */
  putIf(key: string, body: string, etag: string): Promise<string>;
  /**
   * All objects below `prefix`, or with `how` those right below it, sorted by key.
   * @throws RECORD_DAMAGED when there are more than `MOST_KEYS`.
   */
  list(prefix: string, how?: 'right below'): Promise<ListedObject[]>;
  /**
   * The names of the folders right below `prefix`, sorted: those after `after` and before `until`, if given.
   * @throws as `list`.
   */
  folders(prefix: string, between?: { after?: string; until?: string | undefined }): Promise<string[]>;
  /** The first of them, as many as S3 lists in one answer, and whether there are more. */
  someFolders(prefix: string): Promise<{ names: string[]; more: boolean }>;
}

/** A random value that makes the body of a conditional write unique. */
export const nonce = () => randomBytes(16).toString('hex');

/** How often a write is tried. S3 answers 409 while another write is in progress, and asks to retry. */
const CONFLICT_ATTEMPTS = 4;

/** The largest object that is read, bytes, unless the caller names another size. */
const LONGEST = 1024 * 1024;
/** The largest report or other unsigned document, bytes. */
const LONGEST_JSON = 128 * 1024;
/** The most keys that one list may have: ten deployments a day need 27 years for so many. */
const MOST_KEYS = 100_000;

/** A document from which no byte comes for this long is given up, ms. */
const STALL_MS = 8000;

/** The SDK takes any page with the status 200 for success, such as one of a proxy. */
const notOfS3 = () => new Error('the answer is not an answer of S3');

/** @param signal ends the read of a document; the limits of the client end everything else. */
export function openObjects(aws: Aws, bucket: string, signal = NEVER): Objects {
  const where = (key: string) => `s3://${bucket}/${key}`;

  async function read(key: string, longest = LONGEST): Promise<StoredText | undefined> {
    try {
      const command = new GetObjectCommand({ Bucket: bucket, Key: key });
      let readAt: number | undefined;
      command.middlewareStack.add(
        (next) => async (args) => {
          const result = await next(args);
          readAt = dateOf(result.response);
          return result;
        },
        { step: 'deserialize', priority: 'low', name: 'readAt' },
      );
      const answer = await aws.s3.send(command);
      const parts: Buffer[] = [];
      let size = 0;
      for await (const part of bodyChunks(answer, { signal, stallMs: STALL_MS })) {
        size += part.length;
        if (size > longest) throw tooLarge(where(key), longest);
        parts.push(part);
      }
      const text = Buffer.concat(parts).toString('utf8');
      return { text, etag: answer.ETag ?? '', lastModified: answer.LastModified?.getTime() ?? 0, readAt };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw awsError(error, `read ${where(key)}`);
    }
  }

  async function etagOf(key: string): Promise<string | undefined> {
    try {
      const { ETag } = await aws.s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
      if (ETag === undefined) throw notOfS3();
      return ETag;
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw awsError(error, `look for ${where(key)}`);
    }
  }

  /** Writes if `condition` is true. `holds` tests the same condition on the object that was read back. */
  async function put(
    key: string,
    body: string,
    condition: Pick<PutObjectCommandInput, 'IfMatch' | 'IfNoneMatch'>,
    holds: (stored: StoredText | undefined) => boolean,
  ): Promise<string> {
    const type = key.endsWith('.json') ? 'application/json' : 'application/jose';
    const command = { Bucket: bucket, Key: key, Body: body, ContentType: type, ...condition };
    for (let attempt = 1; ; attempt += 1) {
      try {
        const { ETag } = await aws.s3.send(new PutObjectCommand(command));
        if (ETag === undefined) throw notOfS3();
        return ETag;
      } catch (error) {
        if (!isRefusedCondition(error)) throw awsError(error, `write ${where(key)}`);
        const stored = await read(key);
        if (stored?.text === body) return stored.etag;
        if (attempt < CONFLICT_ATTEMPTS && holds(stored)) continue;
        throw new TriggerDeployError('CONDITION_FAILED', `${where(key)} was changed by another writer`, {
          cause: error,
          hint: 'run the command again',
        });
      }
    }
  }

  async function onePage(input: Listing): Promise<Page> {
    try {
      const answer = await aws.s3.send(new ListObjectsV2Command({ Bucket: bucket, ...input }));
      if (answer.IsTruncated === undefined) throw notOfS3();
      return answer;
    } catch (error) {
      throw awsError(error, `list ${where(input.Prefix)}`);
    }
  }

  /** All pages, or those up to the one for which `isLast` returns true. */
  async function pages<T>(
    input: Listing,
    take: (page: Page) => T[],
    isLast: (taken: T[]) => boolean = () => false,
  ): Promise<T[]> {
    const found: T[] = [];
    let next: string | undefined;
    do {
      const page = await onePage({ ...input, ...(next !== undefined && { ContinuationToken: next }) });
      const taken = take(page);
      found.push(...taken);
      if (found.length > MOST_KEYS) throw tooMany(where(input.Prefix));
      next = isLast(taken) ? undefined : page.NextContinuationToken;
    } while (next !== undefined);
    return found;
  }

  const namesIn = (page: Page, prefix: string) =>
    (page.CommonPrefixes ?? []).map((one) => (one.Prefix ?? '').slice(prefix.length, -1)).sort();

  return {
    read,
    async readJson(key, schema) {
      const stored = await read(key, LONGEST_JSON);
      if (stored === undefined) return undefined;
      const { text, ...rest } = stored;
      return { value: parseJson(text, schema, where(key)), ...rest };
    },
    exists: async (key) => (await etagOf(key)) !== undefined,
    etagOf,
    putNew: (key, body) => put(key, body, { IfNoneMatch: '*' }, (stored) => stored === undefined),
    putIf: (key, body, etag) => put(key, body, { IfMatch: etag }, (stored) => stored?.etag === etag),
    list: (prefix, how) =>
      pages({ Prefix: prefix }, (page) =>
        (page.Contents ?? [])
          .map((one) => ({
            key: one.Key ?? '',
            etag: one.ETag ?? '',
            lastModified: one.LastModified?.getTime() ?? 0,
          }))
          .filter(({ key }) => how === undefined || !key.includes('/', prefix.length)),
      ),
    async folders(prefix, { after, until } = {}) {
      const input = {
        Prefix: prefix,
        Delimiter: '/',
        ...(after !== undefined && { StartAfter: prefix + after }),
      };
      const isPast = (name: string | undefined) => until !== undefined && name !== undefined && name >= until;
      const names = await pages(
        input,
        (page) => namesIn(page, prefix),
        (taken) => isPast(taken.at(-1)),
      );
      return names.filter((name) => !isPast(name)).sort();
    },
    async someFolders(prefix) {
      const page = await onePage({ Prefix: prefix, Delimiter: '/' });
      return { names: namesIn(page, prefix), more: page.IsTruncated === true };
    },
  };
}

interface Listing {
  Prefix: string;
  Delimiter?: string;
  StartAfter?: string;
  ContinuationToken?: string;
}

interface Page {
  Contents?:
    | { Key?: string | undefined; ETag?: string | undefined; LastModified?: Date | undefined }[]
    | undefined;
  CommonPrefixes?: { Prefix?: string | undefined }[] | undefined;
  IsTruncated?: boolean | undefined;
  NextContinuationToken?: string | undefined;
}

function tooLarge(where: string, longest: number): TriggerDeployError {
  return new TriggerDeployError('DOCUMENT_INVALID', `${where} is larger than ${longest} bytes`, {
    hint: 'no publisher and no agent writes such an object: find out who did, then delete it',
  });
}

function tooMany(where: string): TriggerDeployError {
  return new TriggerDeployError('RECORD_DAMAGED', `there are more than ${MOST_KEYS} objects below ${where}`, {
    hint: 'find out who wrote them, then delete those that do not belong there',
  });
}

function parseJson<T>(text: string, schema: z.ZodType<T>, where: string): T {
  let json: unknown;
  try {
    json = parseBoundedJson(text);
  } catch (cause) {
    throw new TriggerDeployError('DOCUMENT_INVALID', `${where} is not JSON`, { cause });
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const first = parsed.error.issues[0];
  throw new TriggerDeployError(
    'DOCUMENT_INVALID',
    `${where} is not valid: ${first?.path.join('.') || '(top)'}: ${first?.message ?? 'invalid'}`,
    { cause: parsed.error },
  );
}

/** The answer to a HEAD has no body, so its 404 does not say whether the object or the bucket is missing. */
function isMissing(error: unknown): boolean {
  const name = awsErrorName(error);
  return name === 'NoSuchKey' || (awsStatus(error) === 404 && name !== 'NoSuchBucket');
}

/** 412: the condition is false. 409: another write is in progress. `NoSuchKey`: If-Match on a deleted object. */
function isRefusedCondition(error: unknown): boolean {
  const status = awsStatus(error);
  return status === 412 || status === 409 || awsErrorName(error) === 'NoSuchKey';
}
