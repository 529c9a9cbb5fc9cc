import { createHash } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';

/** The bytes of a part as they are stored. */
export interface Packed {
  body: Buffer;
  compressed: boolean;
  sha256: Buffer;
  /** How many bytes were packed. */
  length: number;
}

/** Packs the chunks, which must not change afterwards. Only what is stored is kept in memory. */
export async function pack(chunks: AsyncIterable<Buffer>, compressed: boolean): Promise<Packed> {
  const bodies: Buffer[] = [];
  let length = 0;
  async function* counted() {
    for await (const chunk of chunks) {
      length += chunk.length;
      yield chunk;
    }
  }
  async function collect(source: AsyncIterable<Buffer>) {
    for await (const chunk of source) bodies.push(chunk);
  }
  if (compressed) await pipeline(counted, createGzip(), collect);
  else await collect(counted());
  const body = Buffer.concat(bodies);
  return { body, compressed, sha256: createHash('sha256').update(body).digest(), length };
}
