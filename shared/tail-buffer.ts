/** Keeps the last `limit` bytes of a stream. Between two calls it holds at most twice as many bytes. */
export class TailBuffer {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Buffer): void {
    // A chunk that fills the buffer alone replaces what is there: it need not be copied along.
    const before = chunk.length < this.#limit ? this.#size : 0;
    if (before === 0) this.#chunks = [];
    this.#chunks.push(chunk);
    this.#size = before + chunk.length;
    if (this.#size > 2 * this.#limit) this.#trim();
  }

  text(): string {
    this.#trim();
    return Buffer.concat(this.#chunks).toString('utf8');
  }

  #trim(): void {
    // Copied, because a slice would keep all of the old memory alive.
    const all = Buffer.concat(this.#chunks);
    const tail = Buffer.from(all.subarray(Math.max(0, all.length - this.#limit)));
    this.#chunks = [tail];
    this.#size = tail.length;
  }
}
