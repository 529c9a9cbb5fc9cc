import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { ArtifactStore } from '../../deploy/ports.ts';
import { openNoFollow } from '../fs/durable-files.ts';
import type { OrderSpool } from './order-spool.ts';

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
      if (start >= end) return (async function* () {})();
      try {
        const handle = await openNoFollow(path);
        // The `end` of createReadStream is the last byte, not the byte after it. The stream closes the handle.
        return handle.createReadStream({ start, end: end - 1, signal }) as AsyncIterable<Uint8Array>;
      } catch (cause) {
        throw new TriggerDeployError('DOWNLOAD_FAILED', `cannot read ${path}: ${messageOf(cause)}`, {
          cause,
        });
      }
    },
  };
}
