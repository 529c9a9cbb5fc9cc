import { openSync, readSync } from 'node:fs';
import type { Script } from 'node:vm';

/** The files that the loader of a bundle reads: `NAME.chunks`, which bundle.ts writes, and `NAME.compiled`, of compile.ts. */

/** The first line of `NAME.chunks`: `//`, 7 digits with the length of the line, a space, and this as JSON. */
export interface Chunks {
  /** Of all chunks. */
  digest: string;
  entry: string;
  /** The offset counts from the end of the first line. bytes */
  chunks: Record<string, [offset: number, length: number, line: number]>;
}

/** The first line of `NAME.compiled`, in the same form. */
export interface Compiled {
  /** For which chunks it was compiled, and by which Node. */
  for: string;
  /** The offset counts from the end of the first line, bytes; `sum` is the checksum. */
  code: Record<string, [offset: number, length: number, sum: number]>;
}

/** Where compile.ts finds what it stores: the scripts that ran, by chunk. */
export interface Compiling {
  for: string;
  scripts: Map<string, Script>;
}
export const COMPILING = Symbol.for('trigger-deploy.compiling');

const LENGTH_DIGITS = 7;

/** A file whose first line describes it. It stays open. */
export function openDescribed<T>(path: string): { head: T; read(offset: number, length: number): Buffer } {
  const fd = openSync(path, 'r');
  const readAt = (offset: number, length: number) => {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const count = readSync(fd, bytes, done, length - done, offset + done);
      if (count === 0) throw new Error(`${path} ends too early`);
      done += count;
    }
    return bytes;
  };
  const length = Number(readAt(2, LENGTH_DIGITS).toString('latin1'));
  const head = JSON.parse(readAt(2 + LENGTH_DIGITS, length - 2 - LENGTH_DIGITS).toString('latin1')) as T;
  return { head, read: (offset, size) => readAt(length + offset, size) };
}

/** The first line of such a file. */
export function described(head: Chunks | Compiled): string {
  const text = JSON.stringify(head);
  return `//${String(2 + LENGTH_DIGITS + 1 + text.length).padStart(LENGTH_DIGITS, '0')} ${text}`;
}

/** V8 does not check whether the code that it is given is damaged. Both sums depend on each word and on its place. */
export function checksum(bytes: Buffer): number {
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
  let sum = bytes.length;
  let sums = 0;
  for (let i = 0; i < words.length; i += 1) {
    sum = (sum + (words[i] as number)) | 0;
    sums = (sums + sum) | 0;
  }
  return sum ^ ((sums << 13) | (sums >>> 19));
}
