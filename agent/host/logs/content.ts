import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { constants, createGunzip } from 'node:zlib';
import { PRINT_BYTES, type Print, printOf } from './streams.ts';

/** The bytes of a log file, decompressed if it is compressed by gzip. */
export interface Content {
  readonly compressed: boolean;
  /** Size and modification time of the file now. */
  stat(): Promise<{ size: number; mtime: number }>;
  /**
   * The bytes from `start` up to, but not including, `end`, in chunks; fewer if the file ends before. Of a compressed
   * file, what is read in ascending order is decompressed once.
   */
  chunks(start: number, end: number): AsyncIterable<Buffer>;
  /** How many bytes there are. Of a compressed file, that is found by decompressing all of it. */
  end(): Promise<number>;
  close(): Promise<void>;
}

const CHUNK = 64 * 1024;
const GZIP = Buffer.from([0x1f, 0x8b, 0x08]);
/** A compressed file ends here for the agent, bytes: one may unpack to a thousand times its size. */
const INFLATED_AT_MOST = 16 * 1024 ** 3;

/** Size, and modification time in ms: exact enough to notice each write. */
export const stampOf = ({ size, mtimeNs }: Pick<BigIntStats, 'size' | 'mtimeNs'>) => ({
  size: Number(size),
  mtime: Number(mtimeNs / 1000n) / 1000,
});

/**
 * Takes the handle: `close` closes it. Reading ends with `signal`: a small file may unpack for minutes.
 */
export async function openContent(handle: FileHandle, signal: AbortSignal): Promise<Content> {
  const magic = Buffer.alloc(GZIP.length);
  await handle.read(magic, 0, magic.length, 0);
  return magic.equals(GZIP) ? new Compressed(handle, signal) : new Plain(handle, signal);
}

abstract class Opened {
  readonly handle: FileHandle;
  readonly signal: AbortSignal;
  constructor(handle: FileHandle, signal: AbortSignal) {
    this.handle = handle;
    this.signal = signal;
  }
  async stat() {
    return stampOf(await this.handle.stat({ bigint: true }));
  }
  async close() {
    await this.handle.close();
  }
}

class Plain extends Opened implements Content {
  readonly compressed = false;
  chunks(start: number, end: number) {
    return chunksOf(this.handle, start, end, this.signal);
  }
  async end() {
    return (await this.handle.stat()).size;
  }
}

class Compressed extends Opened implements Content {
  readonly compressed = true;
  #inflated: AsyncGenerator<Buffer> | undefined;
  /** The offset of the next byte, and the bytes from there on that are decompressed already. */
  #at = 0;
  #rest: Buffer = Buffer.alloc(0);

  async *chunks(start: number, end: number): AsyncGenerator<Buffer> {
    if (!this.#inflated || start < this.#at) await this.#rewind();
    while (this.#at < end) {
      if (this.#rest.length === 0 && !(await this.#more())) return;
      const from = Math.max(0, start - this.#at);
      const to = Math.min(this.#rest.length, end - this.#at);
      const chunk = this.#rest.subarray(from, to);
      this.#at += to;
      this.#rest = this.#rest.subarray(to);
      if (chunk.length > 0) yield chunk;
    }
  }

  async end() {
    for await (const _ of this.chunks(INFLATED_AT_MOST, INFLATED_AT_MOST));
    return this.#at;
  }

  override async close() {
    await this.#inflated?.return(undefined);
    await super.close();
  }

  async #more(): Promise<boolean> {
    this.signal.throwIfAborted();
    if (this.#at >= INFLATED_AT_MOST) return false;
    const next = await this.#inflated?.next();
    if (!next || next.done) return false;
    this.#rest = next.value;
    return true;
  }

  async #rewind() {
    await this.#inflated?.return(undefined);
    this.#inflated = inflate(this.handle);
    this.#at = 0;
    this.#rest = Buffer.alloc(0);
  }
}

async function* chunksOf(
  handle: FileHandle,
  start: number,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<Buffer> {
  for (let at = start; at < end; ) {
    signal?.throwIfAborted();
    const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK, end - at));
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

/** What can be decompressed: a file that is cut off, or damaged, ends there. */
async function* inflate(handle: FileHandle): AsyncGenerator<Buffer> {
  const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
  // Not the stream of the handle: it takes the handle with it when it ends.
  const source = Readable.from(chunksOf(handle, 0, Number.POSITIVE_INFINITY));
  source.on('error', (error) => gunzip.destroy(error));
  source.pipe(gunzip);
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch {
    return;
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

/** The print of the bytes before `end`, PRINT_BYTES at most. */
export const tailOf = (content: Content, end: number) =>
  readPrint(content, Math.max(0, end - PRINT_BYTES), end);

/** The print of the bytes from `start` to `end`, which are PRINT_BYTES at most; of fewer if the content ends before. */
export const readPrint = async (content: Content, start: number, end: number): Promise<Print> =>
  printOf(await bytesOf(content, start, end));

/** The bytes themselves. */
export async function bytesOf(content: Content, start: number, end: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of content.chunks(start, end)) parts.push(chunk);
  return Buffer.concat(parts);
}
