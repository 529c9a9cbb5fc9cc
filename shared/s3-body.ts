import { addAbortSignal, Readable } from 'node:stream';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import { formatMs } from './retry.ts';

export interface BodyOptions {
  signal: AbortSignal;
  /** A body without a byte for this long is broken off, ms. */
  stallMs: number;
  /** The first byte that was asked for. */
  start?: number;
}

/**
 * The chunks of what S3 answered to a GetObject. The body is destroyed at the end, however that comes: read to its
 * end, left early, aborted, broken or stalled. Time that the reader takes is no stall.
 * @throws Error when it is not what was asked for; then and while reading, the signal's reason, or what broke it
 */
export function bodyChunks(
  { Body: body, ContentRange: range }: Pick<GetObjectCommandOutput, 'Body' | 'ContentRange'>,
  { signal, stallMs, start = 0 }: BodyOptions,
): AsyncIterable<Buffer> {
  if (!(body instanceof Readable)) throw new Error('AWS answered without a body');
  // Something between us and S3 may ignore the range and begin at 0.
  const isAsked = start === 0 || range?.startsWith(`bytes ${start}-`);
  if (!isAsked || signal.aborted) body.destroy();
  signal.throwIfAborted();
  if (!isAsked) throw new Error(`asked for the bytes from ${start}, got ${range ?? 'all'}`);
  // Here and not below, which runs only once someone reads. The SDK promises it for the headers only.
  addAbortSignal(signal, body);
  async function* read(source: Readable): AsyncGenerator<Buffer> {
    const watch = () =>
      setTimeout(() => source.destroy(new Error(`no byte came for ${formatMs(stallMs)}`)), stallMs);
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
