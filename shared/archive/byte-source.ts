import { DamagedTar } from './tar-header.ts';

/** A stream of chunks, read in pieces of any length. It holds one chunk, and one piece that is being joined. */
export class ByteSource {
  readonly #chunks: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** At most `most` of the next bytes, without a copy; undefined at the end. */
  async next(most: number): Promise<Buffer | undefined> {
    while (this.#at === this.#chunk.length) {
      const { done, value } = await this.#chunks.next();
      if (done) return undefined;
      [this.#chunk, this.#at] = [value, 0];
    }
    const piece = this.#chunk.subarray(this.#at, this.#at + most);
    this.#at += piece.length;
    return piece;
  }

  /** Exactly `length` bytes; undefined if the stream has ended. @throws DamagedTar if it ends among them. */
  async exactly(length: number): Promise<Buffer | undefined> {
    const first = await this.next(length);
    if (first === undefined || first.length === length) return first;
    const joined = Buffer.allocUnsafe(length);
    let filled = first.copy(joined);
    while (filled < length) filled += (await this.must(length - filled)).copy(joined, filled);
    return joined;
  }

  /** As `next`, where more bytes must come. @throws DamagedTar if the stream has ended. */
  async must(most: number): Promise<Buffer> {
    const piece = await this.next(most);
    if (piece === undefined) throw new DamagedTar('it ends too early');
    return piece;
  }

  /** @throws DamagedTar if the stream ends among the next `length` bytes. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) left -= (await this.must(left)).length;
  }
}
