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
/** With names, headers and padding: what a tar of so much can take at most, bytes. */
const MAX_RAW_BYTES = MAX_BYTES + MAX_ENTRIES * 8192;
const BLOCK = 4096;
const CHUNK = 256 * 1024;

/**
 * Unpacks the tar, plain or gzipped, in the file `archive` into the empty directory `into`. It is read twice:
 * every entry is judged, and the room it takes is counted, before the first one is written. Files belong to
 * the agent's own user; nothing is being written any more when it rejects.
 * @throws ARCHIVE_UNSAFE, PACKAGE_INVALID (no whole tar), NO_SPACE, or the system's error of a write.
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
  const { write } = createArchiveWriter(into);
  const visit = (entry: ReadEntry) => {
    entry.path = judge(entry);
    return entry.path !== '';
  };
  await parseArchive(archive, { visit, take: (entry) => write(entry.path, entry) }, signal);
}

interface Visitor {
  /** Sees each entry's header; whether the entry is to be taken. */
  visit(entry: ReadEntry): boolean;
  /** Takes the entry, one after the other. What it leaves of the contents is passed over. */
  take?(entry: ReadEntry): Promise<void>;
}

/** Feeds the archive to a parser, and its entries to a visitor; the first trouble ends it, and is thrown. */
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
      // After the end of a tar, anything may follow: it is not looked at.
      if (complete || errors.length > 0) break;
    }
  } catch (error) {
    errors.push(signal.aborted ? signal.reason : asPackageError(error));
  }
  // Ended in any case: files that are being written are finished and closed before anyone removes them.
  parser.end();
  await closed;
  await taken;
  if (errors.length > 0) throw errors[0];
}

/**
 * The tar's bytes, gunzipped where the file begins like a gzip. Not left to the tar package, which would hold
 * all that a chunk unpacks to in memory.
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

/** zlib and tar complain of the archive with codes of their own; the system's errors are of this machine. */
function asPackageError(error: unknown): unknown {
  const code = systemCode(error) ?? '';
  return /^(TAR_|Z_|ERR_)/.test(code) ? notATar(messageOf(error), error) : error;
}

function notATar(why: string, cause?: unknown): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', `the archive is not a whole tar: ${why}`, { cause });
}
