import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { awsError, awsErrorName, awsStatus } from '../../shared/aws-errors.ts';
import type { Clock } from '../../shared/clock.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { retry } from '../../shared/retry.ts';
import { bodyChunks } from '../../shared/s3-body.ts';

export interface DownloadOptions {
  s3: S3Client;
  bucket: string;
  key: string;
  signal: AbortSignal;
  clock: Pick<Clock, 'monotonic' | 'sleep'>;
  /** For tests, ms. */
  stallMs?: number;
}

/** A read that receives no byte for this long is aborted, ms. */
const STALL_MS = 20_000;
/** The download fails after `attempts` failed reads in a row. */
const RETRIES = { attempts: 5, first: 200, longest: 3000 };

/**
 * The bytes of an object. After a broken connection the download continues with the next byte. The caller must verify
 * the bytes.
 * @throws ARTIFACT_NOT_FOUND, AWS_*.
 */
export async function* storedBytes(options: DownloadOptions): AsyncGenerator<Buffer> {
  const { bucket, key, signal, clock } = options;
  let at = 0;
  let body: AsyncGenerator<Buffer> | undefined;
  const next = async (): Promise<IteratorResult<Buffer, unknown>> => {
    try {
      body ??= bytesFrom(options, at);
      return await body.next();
    } catch (error) {
      body = undefined;
      signal.throwIfAborted();
      // 416: the connection broke after the last byte, so nothing is left to read.
      if (awsStatus(error) === 416) return { done: true, value: undefined };
      throw failureOf(error, `s3://${bucket}/${key}`);
    }
  };
  const retries = {
    ...RETRIES,
    clock,
    signal,
    retryable: (error: unknown) => isCode(error, 'AWS_UNREACHABLE'),
  };
  try {
    for (;;) {
      const { done, value } = await retry(next, retries);
      if (done) return;
      at += value.length;
      yield value;
    }
  } finally {
    await body?.return(undefined);
  }
}

async function* bytesFrom(options: DownloadOptions, start: number): AsyncGenerator<Buffer> {
  const { s3, bucket, key, signal, stallMs = STALL_MS } = options;
  const range = start > 0 ? { Range: `bytes=${start}-` } : {};
  const command = new GetObjectCommand({ Bucket: bucket, Key: key, ...range });
  const answer = await s3.send(command, { abortSignal: signal });
  yield* bodyChunks(answer, { signal, stallMs, start });
}

function failureOf(error: unknown, where: string): TriggerDeployError {
  if (isCode(error)) return error;
  if (awsStatus(error) === 404 && awsErrorName(error) !== 'NoSuchBucket') {
    return new TriggerDeployError('ARTIFACT_NOT_FOUND', `${where} does not exist`, {
      cause: error,
      hint: 'push the same version to that bucket again: that uploads the missing files',
    });
  }
  return awsError(error, `download ${where}`);
}
