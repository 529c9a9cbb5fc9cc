import type { FileHandle } from 'node:fs/promises';
import { childController, orAborted } from '../../../shared/abort.ts';
import { isPassing } from '../../../shared/aws-errors.ts';
import { isCode, messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { Artifact } from '../../../shared/manifest.ts';
import { type Backoff, retry } from '../../../shared/retry.ts';
import { timeSpan } from '../../../shared/spans.ts';
import type { ArtifactStore } from '../../deploy/ports.ts';
import { createNew, writeRange } from '../fs/durable-files.ts';
import { createOrderedDigest, type OrderedDigest } from './ordered-digest.ts';

/**
 * Downloads an artifact into a file. It stops at the signed size, resumes after an interruption, and accepts the file
 * only if its sha256 is the signed one.
 */

export interface Tuning {
  /** An artifact larger than this, bytes, is downloaded in ranges, `lanes` of them in parallel. */
  large: number;
  range: number; // bytes
  lanes: number;
  /** After this number of reads in a row without progress the download fails. */
  attempts: number;
  /** A read that brings less than `leastBytes` in `stallMs` is aborted and retried. */
  stallMs: number;
  leastBytes: number;
  backoff: Backoff;
}

const MIB = 1024 * 1024;
const TUNING: Tuning = {
  large: 32 * MIB,
  range: 8 * MIB,
  lanes: 4,
  attempts: 5,
  stallMs: 15_000,
  leastBytes: 16 * 1024,
  backoff: { first: 400, longest: 5000 },
};
const NOTE_EVERY_MS = 500;
const BODY_END_MS = 500;
/** So much is written and hashed at a time, bytes; each lane holds one block. */
const BLOCK = 1024 * 1024;

export interface DownloadRequest {
  store: ArtifactStore;
  service: string;
  version: string;
  artifact: Artifact;
  /** A file that does not exist yet; created with mode 0600. */
  path: string;
  /** Whether the file stays: then it is on disk when the download resolves. */
  stays?: boolean;
  note: (text: string) => void;
  signal: AbortSignal;
  tuning?: Partial<Tuning>;
}

interface Transfer extends Omit<DownloadRequest, 'tuning' | 'stays'> {
  tuning: Tuning;
  handle: FileHandle;
  digest: OrderedDigest;
  /** Called with the number of new bytes. */
  arrived: (bytes: number) => void;
}

/**
 * Downloads the artifact to `path`; on disk (fsync) when it resolves, if it stays. Returns the number of bytes.
 * @throws ARTIFACT_NOT_FOUND, ARTIFACT_SIZE_MISMATCH, ARTIFACT_DIGEST_MISMATCH (another download would not help),
 * DOWNLOAD_FAILED, or the system error when the file cannot be written.
 */
export async function downloadArtifact(request: DownloadRequest): Promise<number> {
  const { artifact, path, signal } = request;
  signal.throwIfAborted();
  const handle = await createNew(path, 0o600);
  try {
    const tuning = { ...TUNING, ...request.tuning };
    const sha256 = await timeSpan('download', () => transferInRanges(tuning, handle, request));
    if (sha256 !== artifact.sha256) {
      throw new TriggerDeployError(
        'ARTIFACT_DIGEST_MISMATCH',
        `${artifact.name} has sha256 ${sha256}, but the signed one is ${artifact.sha256}`,
        { hint: 'the file in the bucket is not the pushed file: find out who changed it' },
      );
    }
    // Now, and not only with the release: a file that was closed may lose the error of a failed write.
    if (request.stays !== false) await timeSpan('sync', () => handle.sync());
    return artifact.size;
  } finally {
    await handle.close();
  }
}

/** Downloads all bytes, the ranges of a large artifact in parallel; returns their sha256. */
async function transferInRanges(
  tuning: Tuning,
  handle: FileHandle,
  request: DownloadRequest,
): Promise<string> {
  const { artifact, signal } = request;
  const { size } = artifact;
  const isLarge = size > tuning.large;
  const range = isLarge ? tuning.range : Math.max(1, size);
  const blocks = Array.from({ length: isLarge ? tuning.lanes : 1 }, () => memory(Math.min(BLOCK, range)));
  const again = memory(isLarge ? BLOCK : 0);
  // When a range fails, the other ranges are aborted: nothing writes to the file after this function has ended.
  const { controller: failure, release } = childController(signal);
  const digest = createOrderedDigest(handle, { range, block: again, signal: failure.signal });
  const arrived = progress(artifact, request.note);
  const transfer = { ...request, tuning, handle, digest, arrived, signal: failure.signal };
  let next = 0;
  const lane = async (block: Buffer) => {
    try {
      while (next < size) {
        const start = next;
        next = Math.min(size, start + range);
        await fetchRange(transfer, { start, end: next }, block);
      }
    } catch (error) {
      if (!failure.signal.aborted) failure.abort(error);
    }
  };
  try {
    await Promise.all(blocks.map(lane));
    signal.throwIfAborted();
    failure.signal.throwIfAborted();
    return await digest.end();
  } finally {
    release();
    // Nothing reads or writes any more. Left to the garbage collector, it would stay until the next deployment.
    for (const { buffer } of [...blocks, again]) buffer.transfer(0);
  }
}

function memory(bytes: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(bytes));
}

interface Range {
  start: number;
  end: number;
}

/** Downloads a range. After an interruption it reads the rest; it fails when reads in a row make no progress. */
async function fetchRange(transfer: Transfer, range: Range, block: Buffer): Promise<void> {
  const { tuning, artifact, signal } = transfer;
  let position = range.start;
  let hasProgressed = false;
  let interruption: TriggerDeployError | undefined;
  const readOn = async () => {
    if (position === range.end) return;
    const { ending, received } = await readOnce(transfer, { start: position, end: range.end }, block);
    position += received;
    if (position === range.end) return;
    signal.throwIfAborted();
    hasProgressed = received > 0 && ending !== 'stalled';
    interruption = downloadAborted(artifact, position, ending);
    throw interruption;
  };
  await retry(readOn, {
    ...tuning.backoff,
    attempts: tuning.attempts,
    signal,
    retryable: (error) => error === interruption,
    hasProgressed: () => hasProgressed,
  });
}

/** How an incomplete read ended. */
type ReadEnding = 'early' | 'stalled' | TriggerDeployError;

/** Reads from `start` until the range or the read ends. Throws only errors that a retry cannot fix. */
async function readOnce(
  transfer: Transfer,
  { start, end }: Range,
  block: Buffer,
): Promise<{ ending: ReadEnding; received: number }> {
  const { store, service, version, artifact, handle, digest, tuning } = transfer;
  const { controller: attempt, release } = childController(transfer.signal);
  const { signal } = attempt;
  let received = 0;
  let watched = 0;
  let ended = false;
  let endWatch: NodeJS.Timeout | undefined;
  const watch = setInterval(() => {
    if (received - watched < tuning.leastBytes) attempt.abort();
    watched = received;
  }, tuning.stallMs);
  let body: AsyncIterator<Uint8Array> | undefined;
  try {
    const opened = store.read({ service, version, artifact, start, end, block, signal });
    // The body may ignore the signal: an abort ends the wait for it. One promise that each chunk is raced against would
    // keep all chunks until it settles.
    body = (await orAborted(opened, signal))[Symbol.asyncIterator]();
    for (;;) {
      const { done, value } = await orAborted(body.next(), signal);
      if (done) {
        ended = true;
        return { ending: 'early', received };
      }
      if (start + received + value.length > end) throw tooLong(artifact);
      const position = start + received;
      await kept(digest.add(value, position, writeRange(handle, value, position)));
      received += value.length;
      transfer.arrived(value.length);
      // All bytes are here. A body that also ends leaves its connection open for the next read, so wait briefly.
      if (start + received === end) endWatch ??= setTimeout(() => attempt.abort(), BODY_END_MS);
    }
  } catch (error) {
    transfer.signal.throwIfAborted();
    if (attempt.signal.aborted) return { ending: 'stalled', received };
    if (error instanceof FileError) throw error.cause;
    if (isCode(error) && isFinal(error)) throw error;
    return { ending: asDownloadFailed(error), received };
  } finally {
    clearInterval(watch);
    clearTimeout(endWatch);
    release();
    if (!ended) {
      attempt.abort();
      // This is not awaited, because the iterator may hang in the aborted read.
      body?.return?.()?.catch(() => {});
    }
  }
}

/** Whether another read would fail in the same way, such as one that AWS refuses. */
function isFinal({ code, cause }: TriggerDeployError): boolean {
  return code !== 'DOWNLOAD_FAILED' || (cause !== undefined && !isPassing(cause));
}

/**
 * Marks an error of the file, so that it is not taken for one of the connection: bytes that were hashed must not be
 * fetched again.
 */
class FileError extends Error {}

async function kept(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (cause) {
    throw new FileError('file', { cause });
  }
}

function downloadAborted(artifact: Artifact, position: number, ending: ReadEnding): TriggerDeployError {
  if (ending === 'early') {
    return new TriggerDeployError(
      'ARTIFACT_SIZE_MISMATCH',
      `${artifact.name} ends after ${position} bytes; its signed size is ${artifact.size}`,
    );
  }
  const why = ending === 'stalled' ? 'no data' : ending.message;
  return new TriggerDeployError(
    'DOWNLOAD_FAILED',
    `the download of ${artifact.name} stopped at ${position} of ${artifact.size} bytes: ${why}`,
    { cause: ending },
  );
}

function tooLong(artifact: Artifact): TriggerDeployError {
  return new TriggerDeployError(
    'ARTIFACT_SIZE_MISMATCH',
    `${artifact.name} is larger than its signed size of ${artifact.size} bytes`,
  );
}

function asDownloadFailed(error: unknown): TriggerDeployError {
  if (error instanceof TriggerDeployError) return error;
  return new TriggerDeployError('DOWNLOAD_FAILED', messageOf(error), { cause: error });
}

function progress(artifact: Artifact, note: (text: string) => void): (bytes: number) => void {
  let arrived = 0;
  let notedAt = performance.now();
  return (bytes) => {
    arrived += bytes;
    if (performance.now() - notedAt < NOTE_EVERY_MS) return;
    notedAt = performance.now();
    note(`downloading ${artifact.name} ${Math.floor((100 * arrived) / artifact.size)} %`);
  };
}
