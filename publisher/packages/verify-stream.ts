import { createHash } from 'node:crypto';
import type { Artifact } from '../../shared/manifest.ts';

/**
 * `chunks`, as long as they are the bytes of the artifact. The last is handed over once all of them are: otherwise it
 * ends with the error of `refuse`, and whoever stores them has nothing whole to store.
 */
export async function* verifiedBytes(
  chunks: AsyncIterable<Buffer>,
  { size, sha256 }: Pick<Artifact, 'size' | 'sha256'>,
  signal: AbortSignal,
  refuse: (why: string) => Error,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let read = 0;
  for await (const chunk of chunks) {
    signal.throwIfAborted();
    read += chunk.length;
    if (read > size) throw refuse(`it is longer than ${size} bytes now`);
    hash.update(chunk);
    if (read < size) yield chunk;
    else {
      if (hash.digest('hex') !== sha256) throw refuse('its bytes are others now');
      yield chunk;
    }
  }
  if (read < size) throw refuse(`it has ${read} bytes now, and had ${size}`);
}
