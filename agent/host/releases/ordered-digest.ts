import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

/**
 * The sha256 of a file that is written in ranges, several at a time. Bytes that follow what was hashed are hashed while
 * they are written. The others are read from the file as soon as all before them is there.
 */
export interface OrderedDigest {
  /** Takes bytes that are being written at `position`; resolves when they are, and may be overwritten. */
  add(bytes: Uint8Array, position: number, written: Promise<void>): Promise<void>;
  /** The digest in hex, when all is written. */
  end(): Promise<string>;
}

/** Each range has `range` bytes, the last one fewer, and is written in order. `block` is memory for what is read. */
export function createOrderedDigest(
  handle: FileHandle,
  { range, block, signal }: { range: number; block: Buffer; signal: AbortSignal },
): OrderedDigest {
  const sum = createHash('sha256');
  const startOf = (position: number) => position - (position % range);
  /** Up to where each range is written, by its start. */
  const ends = new Map<number, number>();
  let hashed = 0;
  let reading: Promise<void> | undefined;

  const reach = () => ends.get(startOf(hashed)) ?? 0;

  async function readOn(): Promise<void> {
    for (let end = reach(); hashed < end; end = reach()) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(block, 0, Math.min(block.length, end - hashed), hashed);
      if (bytesRead === 0) return;
      sum.update(block.subarray(0, bytesRead));
      hashed += bytesRead;
    }
  }

  function readLater(): Promise<void> {
    reading ??= readOn().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return {
    async add(bytes, position, written) {
      const end = position + bytes.length;
      if (!reading && position === hashed) {
        sum.update(bytes);
        hashed = end;
      }
      await written;
      ends.set(startOf(position), end);
      // It is awaited, so that a failure ends the download, and nothing is read when the file is closed.
      if (!reading && hashed < reach()) await readLater();
    },
    async end() {
      await readLater();
      return sum.digest('hex');
    },
  };
}
