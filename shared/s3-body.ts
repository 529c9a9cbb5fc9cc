import { addAbortSignal, finished, Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { formatMs } from './duration.ts';

export interface BodyOptions {
  signal: AbortSignal;
  /** A body from which no byte comes for this long is aborted, ms. */
  stallMs: number;
  /** The offset of the first byte that was requested. */
  start?: number;
}

type Answer = Pick<GetObjectCommandOutput, 'Body' | 'ContentRange'>;

/** A block that is not full is handed over after this time, ms. */
const BLOCK_MS = 250;

/**
 * The chunks of the body of a GetObject answer. The body is destroyed in every case: read to its end, left early,
 * aborted, broken or stalled. The time that the reader takes for a chunk does not count as a stall.
 * @throws Error when the answer has no body or another range than requested; the signal's reason when that aborts;
 * the error of the connection when it breaks.
 */
export function bodyChunks(answer: Answer, options: BodyOptions): AsyncIterable<Buffer> {
  const { signal, stallMs } = options;
  async function* read(source: Readable): AsyncGenerator<Buffer> {
    const watch = () => setTimeout(() => source.destroy(stalled(stallMs)), stallMs);
    let timer = watch();
    try {
      for await (const chunk of source) {
        clearTimeout(timer);
        yield chunk;
        timer = watch();
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      source.destroy();
    }
  }
  return read(bodyOf(answer, options));
}

/**
 * `bodyChunks` for a large body: it collects the bytes in `block`, and yields the filled part of it. What it yields is
 * valid only until the next one is requested. A slow body is yielded in parts; what came before an error, too. Node has
 * a chunk for each 16 to 64 KiB, and the work that each costs is several times that of copying it.
 */
export function bodyBlocks(
  answer: Answer,
  options: BodyOptions & { block: Buffer },
): AsyncIterable<Buffer, void, void> {
  return blocksOf(bodyOf(answer, options), options);
}

async function* blocksOf(
  source: Readable,
  { signal, stallMs, block }: BodyOptions & { block: Buffer },
): AsyncGenerator<Buffer, void, void> {
  let filled = 0;
  /** What did not fit into the block. */
  let left: Buffer[] = [];
  let ending: { error: Error | undefined } | undefined;
  let wake = () => {};
  const take = (chunk: Buffer) => {
    const taken = chunk.copy(block, filled);
    filled += taken;
    if (taken < chunk.length) left.push(chunk.subarray(taken));
    else freeNow(chunk);
    if (filled < block.length) return;
    source.pause();
    wake();
  };
  // It keeps its listeners: an error that comes after the reader has left is nobody's.
  finished(source, { writable: false }, (error) => {
    ending = { error: error ?? undefined };
    wake();
  });
  source.on('data', take);
  /** Resolves when the block is full, when a part of it has waited long enough, or when no more comes. */
  const filling = () =>
    new Promise<void>((resolve) => {
      const began = performance.now();
      const tick = () => {
        if (filled > 0) return wake();
        if (performance.now() - began >= stallMs) source.destroy(stalled(stallMs));
        else timer.refresh();
      };
      const timer = setTimeout(tick, Math.min(BLOCK_MS, stallMs));
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  try {
    while (!ending || left.length > 0) {
      if (filled < block.length && !ending) await filling();
      wake = () => {};
      source.pause();
      if (filled > 0) yield block.subarray(0, filled);
      filled = 0;
      const waiting = left;
      left = [];
      for (const chunk of waiting) take(chunk);
      if (filled < block.length) source.resume();
    }
    if (filled > 0) yield block.subarray(0, filled);
    signal.throwIfAborted();
    if (ending.error) throw ending.error;
  } finally {
    source.removeListener('data', take);
    source.destroy();
  }
}

/**
 * Frees the memory of a chunk that nobody reads any more, if the chunk is all of it. Memory that waits for the garbage
 * collector makes it run, over the whole heap, for each 10 MB of a download.
 */
function freeNow({ buffer, length }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === length) buffer.transfer(0);
}

/** The body as a stream that ends when the signal aborts. @throws as `bodyChunks` does. */
function bodyOf(
  { Body: body, ContentRange: range }: Answer,
  { signal, start = 0 }: Pick<BodyOptions, 'signal' | 'start'>,
): Readable {
  if (!(body instanceof Readable)) throw new Error('AWS answered without a body');
  // A proxy before S3 may ignore the range and begin at 0.
  const isAsked = start === 0 || range?.startsWith(`bytes ${start}-`);
  if (!isAsked || signal.aborted) body.destroy();
  signal.throwIfAborted();
  if (!isAsked) throw new Error(`asked for the bytes from ${start}, got ${range ?? 'all'}`);
  // The signal is added here because reading starts only when the first chunk is read. The signal of the SDK covers
  // only the headers.
  addAbortSignal(signal, body);
  return body;
}

function stalled(ms: number): Error {
  return new Error(`no byte received for ${formatMs(ms)}`);
}
