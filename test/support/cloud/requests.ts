import type { IncomingHttpHeaders } from 'node:http';
import { configOperation } from './bucket-kinds.ts';

export type Service = 'sqs' | 'sns' | 's3' | 'sts';

/** What the cloud was asked, and what it answered. Operations carry the names of the SDK's commands. */
export interface RequestRecord {
  /** Milliseconds since the epoch, on the real clock (`clockOffsetMs` does not shift it). */
  readonly at: number;
  readonly service: Service;
  readonly operation: string;
  readonly bucket?: string;
  readonly key?: string;
  /** The Range header of a GetObject. */
  readonly range?: string;
  readonly queue?: string;
  /** A topic's ARN. */
  readonly topic?: string;
  readonly accessKeyId?: string;
  /** Undefined while the request is open (a long poll), CLIENT_GONE when the client left before an answer. */
  readonly status?: number;
}

/** As nginx has it: the client closed the connection before it was answered. */
export const CLIENT_GONE = 499;

type Draft = { -readonly [Field in keyof RequestRecord]: RequestRecord[Field] };

/** A request while it is carried out: its record in the making, and what the strict stores need to know of it. */
export interface Call {
  readonly record: Draft;
  readonly headers: IncomingHttpHeaders;
  /** Aborted when the client has closed the connection before it was answered. */
  readonly gone: AbortSignal;
}

/** What the method, the URL and the headers say. SNS keeps its operation, SQS its queue, in the body. */
export function readHead(method: string, url: string, headers: IncomingHttpHeaders): Omit<Draft, 'at'> {
  const accessKeyId = /Credential=([^/,\s]+)\//.exec(headers.authorization ?? '')?.[1];
  const who = accessKeyId === undefined ? {} : { accessKeyId };
  const target = headers['x-amz-target'];
  if (typeof target === 'string')
    return { service: 'sqs', operation: target.replace('AmazonSQS.', ''), ...who };
  if (headers['content-type']?.includes('x-www-form-urlencoded')) {
    return { service: 'sns', operation: 'unknown', ...who };
  }
  // Not `new URL`: it would resolve the `..` that an S3 key may contain.
  const [path = '', query = ''] = url.split('?', 2);
  const [, bucket = '', ...rest] = path.split('/');
  const key = decodeURIComponent(rest.join('/'));
  return {
    service: 's3',
    operation: s3Operation(method, bucket, key, new URLSearchParams(query), headers),
    ...(bucket && { bucket }),
    ...(key && { key }),
    ...(headers.range && { range: headers.range }),
    ...who,
  };
}

/** The rest of a request's record, once its body is there. */
export function readBody(record: Draft, body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  const fields = body as Partial<Record<string, unknown>>;
  const text = (name: string): string | undefined =>
    typeof fields[name] === 'string' ? (fields[name] as string) : undefined;
  if (record.service === 'sqs') {
    const queue = text('QueueName') ?? text('QueueUrl')?.split('/').at(-1);
    if (queue) record.queue = queue;
  } else if (record.service === 'sns') {
    record.operation = text('Action') ?? record.operation;
    if (record.operation === 'GetCallerIdentity') record.service = 'sts';
    const topic = text('TopicArn');
    if (topic) record.topic = topic;
  }
}

function s3Operation(
  method: string,
  bucket: string,
  key: string,
  query: URLSearchParams,
  headers: IncomingHttpHeaders,
): string {
  const scope = key ? 'Object' : 'Bucket';
  const config = key || !bucket ? undefined : configOperation(method, query);
  if (config !== undefined) return config;
  switch (method) {
    case 'PUT':
      if (query.has('uploadId')) return 'UploadPart';
      if (headers['x-amz-copy-source']) return 'CopyObject';
      return key ? 'PutObject' : 'CreateBucket';
    case 'GET':
      if (key) return 'GetObject';
      if (!bucket) return 'ListBuckets';
      if (query.has('uploads')) return 'ListMultipartUploads';
      return query.get('list-type') === '2' ? 'ListObjectsV2' : 'ListObjects';
    case 'POST':
      if (query.has('uploads')) return 'CreateMultipartUpload';
      return query.has('uploadId') ? 'CompleteMultipartUpload' : 'DeleteObjects';
    case 'DELETE':
      return query.has('uploadId') ? 'AbortMultipartUpload' : `Delete${scope}`;
    case 'HEAD':
      return `Head${scope}`;
    default:
      return method;
  }
}

/** Every request in the order of arrival, and a way to await one instead of sleeping. */
export class RequestLog {
  readonly records: RequestRecord[] = [];
  readonly #watchers = new Set<() => void>();

  add(record: RequestRecord): void {
    this.records.push(record);
    this.changed();
  }

  /** To be called after a status was set. */
  changed(): void {
    for (const look of this.#watchers) look();
  }

  /** The first request, past or still to come, that the predicate accepts; seen when it opens and when it ends. */
  until(predicate: (request: RequestRecord) => boolean, signal?: AbortSignal): Promise<RequestRecord> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#watchers.delete(look);
        signal?.removeEventListener('abort', abandon);
      };
      const look = (): void => {
        const found = this.records.find(predicate);
        if (found === undefined) return;
        end();
        resolve(found);
      };
      const abandon = (): void => {
        end();
        reject(signal?.reason);
      };
      if (signal?.aborted) return abandon();
      signal?.addEventListener('abort', abandon, { once: true });
      this.#watchers.add(look);
      look();
    });
  }
}
