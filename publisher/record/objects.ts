import { randomBytes } from 'node:crypto';
import {
  GetObjectCommand,
  HeadObjectCommand,
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
import { type Lists, notOfS3, openLists } from './lists.ts';
import { createReadNotes } from './read-notes.ts';

/** An object as it was read. A conditional write names its `etag`. */
export interface StoredText {
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

/**
 * Reads and conditionally writes the objects of a bucket. A failure of AWS is thrown as `awsError` maps it.
 *
 * Each body must hold a fresh `nonce()`. When the answer to a write is lost, the SDK retries, and S3 refuses the retry
 * because the first try changed the object. `Objects` then reads the object: if it holds the same text, only this
 * writer can have written it, and the write counts as success.
 */
export interface Objects extends Lists {
  /**
   * Undefined when there is no such object.
   * @throws DOCUMENT_INVALID when it is larger than `longest` bytes (`LONGEST` when left out); no more is read.
   */
  read(key: string, longest?: number): Promise<StoredText | undefined>;
  /** As `read`; when the object still has this `etag`, S3 sends no body. */
  readUnless(
    key: string,
    etag: string | undefined,
    longest?: number,
  ): Promise<StoredText | Unchanged | undefined>;
  /**
   * Undefined when there is no object with this key. @throws DOCUMENT_INVALID when it does not match `schema`, or is
   * larger than `LONGEST_JSON`. `listed` is the ETag that the object had in a list just now: only remember.ts uses it.
   */
  readJson<T>(key: string, schema: z.ZodType<T>, listed?: string): Promise<StoredValue<T> | undefined>;
  /** As `readJson`; `unchanged` when the object still has this `etag`: then S3 sends no body. */
  readJsonUnless<T>(
    key: string,
    schema: z.ZodType<T>,
    etag: string | undefined,
  ): Promise<StoredValue<T> | 'unchanged' | undefined>;
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
  /** Writes whatever is there. `signal` ends the try. Only for what decides nothing. */
  overwrite(key: string, body: string, signal: AbortSignal): Promise<void>;
}

/** A random value that makes the body of a conditional write unique. */
export const nonce = () => randomBytes(16).toString('hex');

/** The object still has the ETag that was named. RFC 9110, "304 Not Modified". */
export interface Unchanged {
  unchanged: true;
  /** When S3 answered, ms since the epoch, by S3's clock; undefined when the answer has no date. */
  readAt: number | undefined;
}

/** How often a write is tried. S3 answers 409 while another write is in progress, and asks to retry. */
const CONFLICT_ATTEMPTS = 4;

/** The largest object that is read, bytes, unless the caller names another size. */
const LONGEST = 1024 * 1024;
/** The largest report or other unsigned document, bytes. */
export const LONGEST_JSON = 128 * 1024;

/** A document from which no byte comes for this long is given up, ms. */
const STALL_MS = 8000;

/**
 * @param signal ends the read of a document; the limits of the client end everything else.
 * @param tell gets what is read, when it takes long because it is much.
 */
export function openObjects(
  aws: Aws,
  bucket: string,
  {
    signal = NEVER,
    tell = () => undefined,
  }: { signal?: AbortSignal | undefined; tell?: (text: string) => void } = {},
): Objects {
  const notes = createReadNotes(bucket, tell);
  const where = (key: string) => `s3://${bucket}/${key}`;

  const read = async (key: string, longest?: number) =>
    (await readUnless(key, undefined, longest)) as StoredText | undefined;

  async function readUnless(
    key: string,
    unless: string | undefined,
    longest = LONGEST,
  ): Promise<StoredText | Unchanged | undefined> {
    const noteRead = notes.begin('reading', key);
    try {
      const condition = unless === undefined ? {} : { IfNoneMatch: unless };
      const command = new GetObjectCommand({ Bucket: bucket, Key: key, ...condition });
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
      if (unless !== undefined && awsStatus(error) === 304) {
        return { unchanged: true, readAt: dateOf((error as { $response?: unknown }).$response ?? {}) };
      }
      throw awsError(error, `read ${where(key)}`);
    } finally {
      noteRead(1);
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

  async function readJsonUnless<T>(
    key: string,
    schema: z.ZodType<T>,
    etag: string | undefined,
  ): Promise<StoredValue<T> | 'unchanged' | undefined> {
    const stored = await readUnless(key, etag, LONGEST_JSON);
    if (stored === undefined) return undefined;
    if ('unchanged' in stored) return 'unchanged';
    const { text, ...rest } = stored;
    return { value: parseJson(text, schema, where(key)), ...rest };
  }

  return {
    read,
    readUnless,
    readJson: async <T>(key: string, schema: z.ZodType<T>) =>
      (await readJsonUnless(key, schema, undefined)) as StoredValue<T> | undefined,
    readJsonUnless,
    async overwrite(key, body, abortSignal) {
      const command = { Bucket: bucket, Key: key, Body: body, ContentType: 'application/json' };
      await aws.s3.send(new PutObjectCommand(command), { abortSignal });
    },
    exists: async (key) => (await etagOf(key)) !== undefined,
    etagOf,
    putNew: (key, body) => put(key, body, { IfNoneMatch: '*' }, (stored) => stored === undefined),
    putIf: (key, body, etag) => put(key, body, { IfMatch: etag }, (stored) => stored?.etag === etag),
    ...openLists(aws, bucket, notes),
  };
}

function tooLarge(where: string, longest: number): TriggerDeployError {
  return new TriggerDeployError('DOCUMENT_INVALID', `${where} is larger than ${longest} bytes`, {
    hint: 'no publisher and no agent writes such an object: find out who did, then delete it',
  });
}

export function parseJson<T>(text: string, schema: z.ZodType<T>, where: string): T {
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
