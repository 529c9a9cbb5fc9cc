import { GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { awsError, awsErrorName, awsStatus } from '../../shared/aws.ts';
import type { Clock } from '../../shared/clock.ts';
import { isCode, TriggerDeployError } from '../../shared/errors.ts';
import { backoffMs } from '../../shared/retry.ts';
import { bodyChunks } from '../../shared/s3-body.ts';

export interface DownloadOptions {
  s3: S3Client;
  bucket: string;
  key: string;
  signal: AbortSignal;
  clock: Pick<Clock, 'sleep'>;
  /** For tests, ms. */
  stallMs?: number;
}

/** A body that brings no byte for this long is dead, ms. */
const STALL_MS = 20_000;
/** So many times in a row without a single byte, and it is given up. */
const ATTEMPTS = 5;

/** The bytes of an object; what breaks off on the way is taken up where it stood. Whether to believe them is the reader's. */
export async function* storedBytes(options: DownloadOptions): AsyncGenerator<Buffer> {
  const { bucket, key, signal, clock } = options;
  const where = `s3://${bucket}/${key}`;
  let at = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      for await (const chunk of bytesFrom(options, at)) {
        at += chunk.length;
        attempt = 1;
        yield chunk;
      }
      return;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      // Broken off behind its last byte: there is nothing left to ask for.
      if (awsStatus(error) === 416) return;
      const failure = failureOf(error, where);
      if (attempt >= ATTEMPTS || failure.code !== 'AWS_UNREACHABLE') throw failure;
    }
    await clock.sleep(backoffMs(attempt - 1, { first: 200, longest: 3000 }), signal);
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
      hint: 'push the same version there again: that puts back what is missing',
    });
  }
  return awsError(error, `download ${where}`);
}
