import { addAbortSignal, Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { formatMs } from './retry.ts';

export interface BodyOptions {
  signal: AbortSignal;
  /** A body from which no byte comes for this long is aborted, ms. */
  stallMs: number;
  /** The offset of the first byte that was requested. */
  start?: number;
}

/**
 * The chunks of the body of a GetObject answer. The body is destroyed in every case: read to its end, left early,
 * aborted, broken or stalled. The time that the reader takes for a chunk does not count as a stall.
 * @throws Error when the answer has no body or another range than requested; the signal's reason when that aborts;
 * the error of the connection when it breaks.
 */
export function bodyChunks(
  { Body: body, ContentRange: range }: Pick<GetObjectCommandOutput, 'Body' | 'ContentRange'>,
  { signal, stallMs, start = 0 }: BodyOptions,
): AsyncIterable<Buffer> {
  if (!(body instanceof Readable)) throw new Error('AWS answered without a body');
  // A proxy before S3 may ignore the range and begin at 0.
  const isAsked = start === 0 || range?.startsWith(`bytes ${start}-`);
  if (!isAsked || signal.aborted) body.destroy();
  signal.throwIfAborted();
  if (!isAsked) throw new Error(`asked for the bytes from ${start}, got ${range ?? 'all'}`);
  // The signal is added here because `read` starts only when the first chunk is read. The signal of the SDK covers only
  // the headers.
  addAbortSignal(signal, body);
  async function* read(source: Readable): AsyncGenerator<Buffer> {
    const watch = () =>
      setTimeout(() => source.destroy(new Error(`no byte received for ${formatMs(stallMs)}`)), stallMs);
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
  return read(body);
}
