import { createHash } from 'node:crypto';
import type { ArtifactStore } from '../../../agent/deploy/ports.ts';
import { TriggerDeployError } from '../../../shared/errors.ts';
import type { Artifact } from '../../../shared/manifest.ts';

type ReadRequest = Parameters<ArtifactStore['read']>[0];
/** What a read returns instead of the right bytes. */
type Fault = (
  right: Buffer,
  request: ReadRequest,
  n: number,
) => AsyncIterable<Uint8Array> | Error | undefined;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** An artifact store in memory that counts its reads; `fault` injects failures. */
export interface MemoryStore extends ArtifactStore {
  reads: { name: string; start: number; end: number }[];
  fault: Fault;
  put(name: string, bytes: Uint8Array | string, role?: Artifact['role']): Artifact;
}

export function memoryStore(): MemoryStore {
  const contents = new Map<string, Buffer>();
  const reads: MemoryStore['reads'] = [];
  const memory: MemoryStore = {
    reads,
    fault: () => undefined,
    put(name, bytes, role = 'package') {
      const buffer = Buffer.from(bytes);
      contents.set(sha256(buffer), buffer);
      return { name, role, size: buffer.length, sha256: sha256(buffer) };
    },
    async read(request) {
      const { artifact, start, end } = request;
      reads.push({ name: artifact.name, start, end });
      const whole = contents.get(artifact.sha256);
      if (!whole) throw new TriggerDeployError('ARTIFACT_NOT_FOUND', `no ${artifact.name}`);
      const right = whole.subarray(start, end);
      const wrong = memory.fault(right, request, reads.length - 1);
      if (wrong instanceof Error) throw wrong;
      return wrong ?? inChunks(right);
    },
  };
  return memory;
}

export async function* inChunks(bytes: Buffer, chunk = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
}

/** Some bytes, then the connection breaks. */
export async function* broken(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
  throw new TriggerDeployError('DOWNLOAD_FAILED', 'connection reset');
}
