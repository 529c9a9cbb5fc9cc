import { createHash } from 'node:crypto';
import type { Artifact } from '../../shared/manifest.ts';

/**
 * Passes `chunks` on. The last chunk is passed on only after size and sha256 were checked, so that a reader never gets
 * a complete file that is wrong.
 * @throws the error of `refuse` unless size and sha256 match the artifact.
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
    if (read > size) throw refuse(`it is longer than the expected ${size} bytes`);
    hash.update(chunk);
    if (read < size) yield chunk;
    else {
      if (hash.digest('hex') !== sha256) throw refuse('its sha256 changed');
      yield chunk;
    }
  }
  if (read < size) throw refuse(`it has ${read} bytes, expected ${size}`);
}
