import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { ArtifactStore } from '../../deploy/ports.ts';
import { openNoFollow } from '../fs/durable-files.ts';
import type { OrderSpool } from './order-spool.ts';

const BLOCK = 1024 * 1024; // bytes

type ReadRequest = Parameters<ArtifactStore['read']>[0];

/**
 * A store that reads an artifact from a local order if one has it, else from `store`. The caller need not trust either
 * source: the digest shows whether the bytes are right.
 */
export function withSpooledArtifacts(spool: Pick<OrderSpool, 'fileOf'>, store: ArtifactStore): ArtifactStore {
  return {
    async read(request) {
      const { service, version, artifact, start, end, signal } = request;
      const path = await spool.fileOf(service, version, artifact).catch(() => undefined);
      if (path === undefined) return store.read(request);
      signal.throwIfAborted();
      return blocksOf(path, { start, end, signal });
    },
  };
}

async function* blocksOf(
  path: string,
  { start, end, signal }: Pick<ReadRequest, 'start' | 'end' | 'signal'>,
): AsyncGenerator<Uint8Array> {
  if (start >= end) return;
  const handle = await openNoFollow(path).catch((cause: unknown) => {
    throw new TriggerDeployError('DOWNLOAD_FAILED', `cannot read ${path}: ${messageOf(cause)}`, { cause });
  });
  // Its own memory: a read that hangs still writes to it after an abort.
  const block = Buffer.allocUnsafeSlow(Math.min(BLOCK, end - start));
  try {
    for (let position = start; position < end; ) {
      signal.throwIfAborted();
      const wanted = Math.min(block.length, end - position);
      const { bytesRead } = await handle.read(block, 0, wanted, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      yield block.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
