import { once } from 'node:events';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Parser, type ReadEntry } from 'tar';
import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import { openNoFollow, readRange, systemCode } from '../fs/durable-files.ts';
import { assertSpace, type Space } from '../fs/space.ts';
import { createArchiveJudge, MAX_BYTES, MAX_ENTRIES, unsafe } from './archive-rules.ts';
import { createArchiveWriter } from './archive-writer.ts';
import { RECORD_NAME } from './release-record.ts';

const LIMITS = { entries: MAX_ENTRIES, bytes: MAX_BYTES, reserved: RECORD_NAME };
/** The largest possible tar within these limits, with names, headers and padding; bytes. */
const MAX_RAW_BYTES = MAX_BYTES + MAX_ENTRIES * 8192;
const BLOCK = 4096;
const CHUNK = 256 * 1024;

/**
 * Unpacks `archive`, a tar, plain or gzipped, into the empty directory `into`. The archive is read twice. The first
 * pass judges all entries and adds up their sizes; the second pass writes them. The files belong to the agent's user.
 * When it rejects, no write is still in progress.
 * @throws ARCHIVE_UNSAFE, PACKAGE_INVALID (not a complete tar), NO_SPACE, or the system error of a write.
 */
export async function unpack(archive: string, into: string, signal: AbortSignal): Promise<void> {
  await assertSpace(into, await measure(archive, signal), 'the unpacked archive');
  await extract(archive, into, signal);
}

async function measure(archive: string, signal: AbortSignal): Promise<Space> {
  const { judge } = createArchiveJudge(LIMITS);
  const space: Space = { bytes: 0, inodes: 0 };
  const visit = (entry: ReadEntry) => {
    judge(entry);
    space.bytes += Math.ceil(entry.size / BLOCK) * BLOCK;
    space.inodes += 1;
    return false;
  };
  await parseArchive(archive, { visit }, signal);
  return space;
}

async function extract(archive: string, into: string, signal: AbortSignal): Promise<void> {
  const { judge } = createArchiveJudge(LIMITS);
  const { write, end } = createArchiveWriter(into);
  const visit = (entry: ReadEntry) => {
    entry.path = judge(entry);
    return entry.path !== '';
  };
  try {
    await parseArchive(archive, { visit, take: (entry) => write(entry.path, entry) }, signal);
  } catch (error) {
    // A failed write is what ended the parsing, or is not worth telling beside what did.
    await end().catch(() => {});
    throw error;
  }
  await end();
}

interface Visitor {
  /** Called with each entry's header; returns whether to take the entry. */
  visit(entry: ReadEntry): boolean;
  /** Called with each entry to take, one after the other. It may leave contents unread. */
  take?(entry: ReadEntry): Promise<void>;
}

/** Parses the archive and passes its entries to a visitor; the first error ends it, and is thrown. */
async function parseArchive(archive: string, visitor: Visitor, signal: AbortSignal): Promise<void> {
  const errors: unknown[] = [];
  let complete = false;
  let taken = Promise.resolve();
  const filter = (_path: string, entry: unknown) => {
    if (errors.length > 0) return false;
    try {
      return visitor.visit(entry as ReadEntry);
    } catch (error) {
      errors.push(error);
      return false;
    }
  };
  const take = async (entry: ReadEntry) => {
    try {
      if (errors.length === 0) await visitor.take?.(entry);
    } catch (error) {
      errors.push(error);
    }
    entry.resume();
  };
  const parser = new Parser({ strict: true, filter });
  parser.on('entry', (entry: ReadEntry) => {
    taken = taken.then(() => take(entry));
  });
  parser.on('error', (error: unknown) => errors.push(asPackageError(error)));
  parser.on('eof', () => {
    complete = true;
  });
  const closed = new Promise((resolve) => parser.once('close', resolve));
  try {
    for await (const chunk of tarBytes(archive)) {
      signal.throwIfAborted();
      if (!parser.write(chunk) && errors.length === 0) await once(parser, 'drain', { signal });
      // Bytes after the end of the tar are ignored.
      if (complete || errors.length > 0) break;
    }
  } catch (error) {
    errors.push(signal.aborted ? signal.reason : asPackageError(error));
  }
  // Always ended, so that files being written are closed before they are removed.
  parser.end();
  await closed;
  await taken;
  if (errors.length > 0) throw errors[0];
}

/**
 * Yields the bytes of the tar, decompressed if the file begins like a gzip file. The tar package could decompress too,
 * but it would keep everything that one chunk decompresses to in memory.
 */
async function* tarBytes(path: string): AsyncGenerator<Buffer> {
  const handle = await openNoFollow(path);
  const raw = handle.createReadStream({ start: 0, autoClose: false, highWaterMark: CHUNK });
  try {
    const gzipped = isGzip(await readRange(handle, 0, 2));
    const bytes = gzipped ? pipeline(raw, createGunzip({ chunkSize: CHUNK }), () => {}) : raw;
    let total = 0;
    for await (const chunk of bytes as AsyncIterable<Buffer>) {
      if (gzipped && total === 0 && isGzip(chunk)) throw notATar('it is gzipped twice');
      total += chunk.length;
      if (total > MAX_RAW_BYTES) throw unsafe(path, `unpacks to more than ${MAX_RAW_BYTES} bytes`);
      yield chunk;
    }
  } finally {
    raw.destroy();
    await handle.close();
  }
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Converts errors of zlib and tar, which concern the archive, to PACKAGE_INVALID; returns other errors unchanged. */
function asPackageError(error: unknown): unknown {
  const code = systemCode(error) ?? '';
  return /^(TAR_|Z_|ERR_)/.test(code) ? notATar(messageOf(error), error) : error;
}

function notATar(why: string, cause?: unknown): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', `the archive is not a complete tar: ${why}`, { cause });
}
