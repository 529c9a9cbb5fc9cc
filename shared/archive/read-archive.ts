import type { FileHandle } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { messageOf, TriggerDeployError } from '../errors.ts';
import { RECORD_NAME } from '../names.ts';
import {
  createArchiveJudge,
  type Judged,
  type Limits,
  MAX_BYTES,
  MAX_ENTRIES,
  unsafe,
} from './archive-rules.ts';
import { ByteSource } from './byte-source.ts';
import { formatOf, HEAD_BYTES, wrongFormat } from './formats.ts';
import { readTar, type TarBody, type TarEntry } from './read-tar.ts';
import { DamagedTar } from './tar-header.ts';

/** A tar, plain or compressed with gzip, as judged entries. The agent unpacks with this code; the publisher checks. */

export interface ArchiveFile {
  /** Opened for reading. */
  handle: FileHandle;
  /** For messages: `payments.tar.gz`. */
  name: string;
  allowsLink: Limits['allowsLink'];
  signal: AbortSignal;
}

export type VisitJudged = (entry: TarEntry & Judged, body: TarBody) => Promise<void> | void;

/** The largest possible tar within the limits, with names, headers and padding; bytes. */
const MAX_RAW_BYTES = MAX_BYTES + MAX_ENTRIES * 8192;
const CHUNK = 256 * 1024;

/**
 * Judges each entry, then passes it to `visit`. When it resolves, the archive is whole: it has its end mark and, if
 * compressed, the end of the compression. What follows the end mark is ignored, as by `tar -x`. Memory is bounded
 * whatever the bytes are.
 * @throws ARCHIVE_UNSAFE; PACKAGE_INVALID if it is not a whole tar; the signal's reason; errors of `visit`.
 */
export async function readArchive(file: ArchiveFile, visit: VisitJudged): Promise<void> {
  const { judge } = createArchiveJudge({
    ...{ entries: MAX_ENTRIES, bytes: MAX_BYTES, reserved: RECORD_NAME },
    allowsLink: file.allowsLink,
  });
  let files = 0;
  const bytes = tarBytes(file);
  try {
    await readTar(new ByteSource(bytes), (entry, body) => {
      if (entry.type !== 'Directory') files += 1;
      return visit({ ...entry, ...judge(entry) }, body);
    });
    // The checksum of gzip comes at its end.
    for (let end = await bytes.next(); !end.done; end = await bytes.next());
  } catch (error) {
    file.signal.throwIfAborted();
    throw asPackageError(error, file.name);
  } finally {
    await bytes.return(undefined);
  }
  if (files === 0) throw notWhole(file.name, 'it contains no files');
}

/** Yields the bytes of the tar. For a plain tar it yields no more than the reader asks for. */
async function* tarBytes({ handle, name, signal }: ArchiveFile): AsyncGenerator<Buffer> {
  const head = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await handle.read(head, 0, HEAD_BYTES, 0);
  const format = formatOf(head.subarray(0, bytesRead));
  if (format.id !== 'tar' && format.id !== 'gzip') throw wrongFormat(name, format, 'a tar or tar.gz');
  const bytes = format.id === 'gzip' ? unzipped(chunksOf(handle)) : chunksOf(handle);
  let total = 0;
  try {
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      if (format.id === 'gzip' && total === 0) assertTarInside(chunk, name);
      total += chunk.length;
      if (total > MAX_RAW_BYTES) throw unsafe(name, `unpacks to more than ${MAX_RAW_BYTES} bytes`);
      yield chunk;
    }
  } finally {
    await bytes.return(undefined);
  }
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(CHUNK), 0, CHUNK, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Gzip members that follow each other are decompressed one after the other, as by gzip(1). */
async function* unzipped(chunks: AsyncGenerator<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = pipeline(
    Readable.from(chunks, { objectMode: false }),
    createGunzip({ chunkSize: CHUNK }),
    () => {},
  );
  try {
    yield* gunzip as AsyncIterable<Buffer>;
  } finally {
    gunzip.destroy();
    // The file must not be closed during a read.
    await chunks.return(undefined);
  }
}

function assertTarInside(chunk: Buffer, name: string): void {
  const inside = formatOf(chunk.subarray(0, HEAD_BYTES));
  if (inside.id === 'tar' || chunk.length < HEAD_BYTES) return;
  if (inside.id === 'gzip') throw notWhole(name, 'it is gzipped twice');
  throw notWhole(name, `what is compressed in it is ${inside.what}`, inside.hint);
}

/** Errors about the bytes of the archive become PACKAGE_INVALID; others, such as those of a disk, stay. */
function asPackageError(error: unknown, name: string): unknown {
  if (error instanceof DamagedTar) return notWhole(name, error.message, undefined, error);
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^Z_/.test(code)
    ? notWhole(name, `its gzip is damaged or cut short (${messageOf(error)})`, undefined, error)
    : error;
}

function notWhole(
  name: string,
  why: string,
  hint = 'check that the build finished writing it: tar -tf FILE lists a whole archive',
  cause?: unknown,
): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', `${name} is not a complete tar: ${why}`, { hint, cause });
}
