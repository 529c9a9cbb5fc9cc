import { Readable } from 'node:stream';
import { HeadObjectCommand, PutObjectCommand, type S3Client, UploadPartCommand } from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { awsError, awsErrorName, awsStatus } from '../../shared/aws-errors.ts';
import { isCode } from '../../shared/errors.ts';
import type { Artifact } from '../../shared/manifest.ts';

/** A file to upload. */
export interface Part {
  artifact: Artifact;
  /** Where the file comes from, for error messages. */
  from: string;
  /** Each call reads the bytes from the start. It throws unless their size and sha256 match the artifact. */
  bytes(signal: AbortSignal): AsyncIterable<Buffer>;
}

export interface UploadOptions {
  s3: S3Client;
  bucket: string;
  key: string;
  part: Part;
  signal: AbortSignal;
  /** Called with the number of bytes uploaded so far. */
  progress: (done: number) => void;
}

/** The size of an upload part, bytes. It is larger for a file that would need more than `MOST_PARTS` such parts. */
const PART = 8 * 1024 * 1024;
/** S3 accepts 10,000 parts at most; this leaves a margin. */
const MOST_PARTS = 9_990;

/**
 * Uploads `part` to `key`, in pieces in parallel. No object is at `key` until the upload is complete. A failure or an
 * abort removes the pieces.
 * @returns false when an object of the same size is at `key` already. It is the same file: `key` contains the sha256.
 */
export async function uploadPart(options: UploadOptions): Promise<boolean> {
  const { s3, bucket, key, part, signal } = options;
  const { size } = part.artifact;
  const doing = `upload ${part.from} to s3://${bucket}/${key}`;
  if ((await sizeAt(options, doing)) === size) {
    options.progress(size);
    return false;
  }
  const body = Readable.from(part.bytes(signal), { objectMode: false });
  // A file of one piece has a checksum already. Otherwise the SDK computes one of each piece.
  const sha256 = Buffer.from(part.artifact.sha256, 'hex').toString('base64');
  const checksum = size > PART ? {} : { ChecksumSHA256: sha256 };
  const upload = new Upload({
    client: abortable(s3, signal),
    params: { Bucket: bucket, Key: key, Body: body, ContentLength: size, ...checksum },
    partSize: Math.max(PART, Math.ceil(size / MOST_PARTS)),
    queueSize: 4,
  });
  upload.on('httpUploadProgress', ({ loaded = 0 }) => options.progress(Math.min(loaded, size)));
  try {
    await upload.done();
    return true;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (isCode(error)) throw error;
    // The answer to the last request may be lost, and its repetition is refused (NoSuchUpload): the file is there.
    if ((await sizeAt(options, doing).catch(() => undefined)) !== size) throw awsError(error, doing);
    options.progress(size);
    return true;
  } finally {
    body.destroy();
  }
}

/**
 * The client, but `signal` aborts its data transfers. `Upload.abort()` is not used, because it resolves before it has
 * deleted the uploaded parts: if the program exits then, the parts stay in the bucket and cost money.
 */
function abortable(s3: S3Client, signal: AbortSignal): S3Client {
  return new Proxy(s3, {
    get(target, property) {
      if (property !== 'send') return Reflect.get(target, property, target);
      return (command: Parameters<S3Client['send']>[0]) => {
        const transfers = command instanceof UploadPartCommand || command instanceof PutObjectCommand;
        return target.send(command, transfers ? { abortSignal: signal } : {});
      };
    },
  });
}

async function sizeAt(options: UploadOptions, doing: string): Promise<number | undefined> {
  const { s3, bucket, key, signal } = options;
  try {
    const head = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: signal });
    return head.ContentLength;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    // A 404 to a HEAD does not say whether the key or the bucket is missing. The upload reports a missing bucket.
    if (awsStatus(error) === 404 && awsErrorName(error) !== 'NoSuchBucket') return undefined;
    throw awsError(error, doing);
  }
}
