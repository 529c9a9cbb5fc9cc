import type { AsyncLocalStorage } from 'node:async_hooks';
import { S3Store } from '../../../node_modules/fauxqs/dist/s3/s3Store.js';
import { CloudError } from './errors.ts';
import type { Call } from './requests.ts';

type StoredObject = ReturnType<S3Store['listObjects']>['objects'][number];

/**
 * fauxqs' bucket, which ignores conditions on writes, made to honour them.
 *
 * The condition is checked in the very call that writes, and nothing is awaited in between: of any number of
 * parallel writers exactly one finds its condition true. That is the promise the record's lock relies on.
 */
export class StrictS3Store extends S3Store {
  readonly #calls: AsyncLocalStorage<Call>;

  constructor(calls: AsyncLocalStorage<Call>) {
    super();
    this.#calls = calls;
  }

  override putObject(...args: Parameters<S3Store['putObject']>): ReturnType<S3Store['putObject']> {
    this.#checkCondition(args[0], args[1]);
    return super.putObject(...args);
  }

  override completeMultipartUpload(
    ...args: Parameters<S3Store['completeMultipartUpload']>
  ): ReturnType<S3Store['completeMultipartUpload']> {
    const { bucket, key } = this.#calls.getStore()?.record ?? {};
    if (bucket && key) this.#checkCondition(bucket, key);
    return super.completeMultipartUpload(...args);
  }

  override deleteObject(bucket: string, key: string): void {
    this.#checkCondition(bucket, key);
    super.deleteObject(bucket, key);
  }

  /**
   * fauxqs sorts keys by locale but resumes a page by code unit, so a list of more than one page repeats and
   * skips keys of mixed case. S3 sorts by UTF-8 bytes ("Listing object keys programmatically"). To sort a bucket of many
   * thousand keys by locale would take most of the time of a benchmark.
   */
  override listObjects(
    ...[bucket, options = {}]: Parameters<S3Store['listObjects']>
  ): ReturnType<S3Store['listObjects']> {
    const { prefix = '', delimiter, maxKeys = 1000 } = options;
    const after = options.startAfter ?? options.marker ?? '';
    const all = this.#bucket(bucket);
    const keys = [...all.keys()].filter((key) => key.startsWith(prefix) && isAfter(key, after)).sort(byBytes);
    const folderOf = (key: string) => {
      const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
      return end === -1 ? undefined : key.slice(0, end + (delimiter ?? '').length);
    };
    const objects: StoredObject[] = [];
    const commonPrefixes: string[] = [];
    for (const key of keys) {
      const folder = folderOf(key);
      if (folder !== undefined && (folder === commonPrefixes.at(-1) || !isAfter(folder, after))) continue;
      if (objects.length + commonPrefixes.length >= maxKeys)
        return { objects, commonPrefixes, isTruncated: true };
      const object = all.get(key);
      if (folder !== undefined) commonPrefixes.push(folder);
      else if (object !== undefined) objects.push(object);
    }
    return { objects, commonPrefixes, isTruncated: false };
  }

  /** The objects of a bucket by key: fauxqs has no function that returns them unsorted. */
  #bucket(name: string): Map<string, StoredObject> {
    const { buckets } = this as unknown as { buckets: Map<string, Map<string, StoredObject>> };
    const found = buckets.get(name);
    if (found !== undefined) return found;
    throw new CloudError(404, 'NoSuchBucket', `The specified bucket does not exist: ${name}`);
  }

  has(bucket: string): boolean {
    return (this as unknown as { buckets: Map<string, unknown> }).buckets.has(bucket);
  }

  /** The uploads that were begun and not completed: fauxqs has no list of them. */
  uploads(bucket: string): { key: string; uploadId: string; initiated: Date }[] {
    const { multipartUploads } = this as unknown as {
      multipartUploads: Map<string, { bucket: string; key: string; uploadId: string; initiated: Date }>;
    };
    return [...multipartUploads.values()].filter((one) => one.bucket === bucket);
  }

  /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html. All of them, on one page. */
  uploadsAnswer(bucket: string): string {
    const items = this.uploads(bucket).map(
      ({ key, uploadId, initiated }) =>
        `<Upload><Key>${key}</Key><UploadId>${uploadId}</UploadId><Initiated>${initiated.toISOString()}</Initiated></Upload>`,
    );
    return `<?xml version="1.0" encoding="UTF-8"?><ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><IsTruncated>false</IsTruncated>${items.join('')}</ListMultipartUploadsResult>`;
  }

  /** Like `headObject`, but a missing key is an answer and not an error. A missing bucket stays an error. */
  find(bucket: string, key: string): ReturnType<S3Store['headObject']> | undefined {
    try {
      return this.headObject(bucket, key);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'NoSuchKey') return undefined;
      throw error;
    }
  }

  /** S3 User Guide, "Conditional requests". Writes without a request have no condition. */
  #checkCondition(bucket: string, key: string): void {
    const headers = this.#calls.getStore()?.headers ?? {};
    const ifNoneMatch = headers['if-none-match'];
    const ifMatch = headers['if-match'];
    if (ifNoneMatch === undefined && ifMatch === undefined) return;
    const found = this.find(bucket, key);
    if (ifNoneMatch !== undefined) {
      if (ifNoneMatch !== '*') {
        throw new CloudError(
          501,
          'NotImplemented',
          'A header you provided implies functionality that is not implemented',
        );
      }
      if (found) throw preconditionFailed();
    }
    if (ifMatch !== undefined) {
      if (!found) throw new CloudError(404, 'NoSuchKey', 'The specified key does not exist.');
      if (ifMatch !== '*' && unquoted(ifMatch) !== unquoted(found.etag)) throw preconditionFailed();
    }
  }
}

function preconditionFailed(): CloudError {
  return new CloudError(
    412,
    'PreconditionFailed',
    'At least one of the pre-conditions you specified did not hold',
  );
}

function unquoted(etag: string): string {
  return etag.replaceAll('"', '');
}

/** UTF-8 sorts as code points do, and code units do so, too, unless a key has surrogates. */
function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const isAfter = (key: string, other: string) => byBytes(key, other) > 0;
