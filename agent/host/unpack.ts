import { once } from 'node:events';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { type ReadEntry, Unpack } from 'tar';
import { messageOf, TriggerDeployError } from '../../shared/errors.ts';
import { createArchiveJudge, MOST_BYTES, MOST_ENTRIES, unsafe } from './archive-rules.ts';
import { freeSpace, openNoFollow, readRange, systemCode } from './files.ts';
import { RECORD_NAME } from './release-record.ts';
import { formatBytes, noSpace, SPACE_MARGIN } from './space.ts';

/** Names, headers and padding, beside the contents: what a tar of so many entries can hold at most, bytes. */
const MOST_RAW_BYTES = MOST_BYTES + MOST_ENTRIES * 8192;
const BLOCK = 4096;
const CHUNK = 256 * 1024;

/**
 * Unpacks the tar, plain or gzipped, in the file `archive` into the empty directory `into`. Every entry is
 * judged before anything of it is written, and the first bad one ends it all; nothing is being written any
 * more when it rejects. Files belong to the agent's own user.
 * @throws ARCHIVE_UNSAFE, PACKAGE_INVALID (no whole tar), NO_SPACE, or the system's error of a write.
 */
export async function unpack(archive: string, into: string, signal: AbortSignal): Promise<void> {
  const accept = await createFilter(into);
  const trouble: unknown[] = [];
  let complete = false;
  const sink = new Unpack({
    cwd: into,
    strict: true,
    preserveOwner: false,
    dmode: 0o755,
    filter(_path, entry) {
      if (trouble.length > 0) return false;
      try {
        return accept(entry as ReadEntry);
      } catch (error) {
        trouble.push(error);
        return false;
      }
    },
  });
  sink.on('error', (error: unknown) => trouble.push(asOurs(error)));
  sink.on('eof', () => {
    complete = true;
  });
  const closed = new Promise((resolve) => sink.once('close', resolve));
  try {
    for await (const chunk of tarBytes(archive)) {
      signal.throwIfAborted();
      if (!sink.write(chunk) && trouble.length === 0) await once(sink, 'drain', { signal });
      // After the end of a tar, anything may follow: it is not looked at.
      if (complete || trouble.length > 0) break;
    }
  } catch (error) {
    trouble.push(signal.aborted ? signal.reason : asOurs(error));
  }
  // Ended in any case: files that are being written are finished and closed before anyone removes them.
  sink.end();
  await closed;
  if (trouble.length > 0) throw trouble[0];
}

/** Judges each entry, counts the room it takes, and gives it its plain name and mode. */
async function createFilter(into: string): Promise<(entry: ReadEntry) => boolean> {
  const free = await freeSpace(into);
  const archive = createArchiveJudge({ entries: MOST_ENTRIES, bytes: MOST_BYTES, reserved: RECORD_NAME });
  let bytes = 0;
  let inodes = 0;
  return (entry) => {
    const { path, type, mode, size, linkpath } = entry;
    const name = archive.judge({ path, type, mode, size, linkpath });
    bytes += Math.ceil(size / BLOCK) * BLOCK;
    inodes += 1;
    if (bytes + SPACE_MARGIN > free.bytes || inodes > free.inodes) {
      throw noSpace(
        `the archive unpacks to more than there is room for: ${formatBytes(free.bytes)}, ${free.inodes} inodes`,
      );
    }
    if (name === '') return false;
    entry.path = name;
    entry.mode = type === 'Directory' || ((mode ?? 0) & 0o111) !== 0 ? 0o755 : 0o644;
    return true;
  };
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
      if (total > MOST_RAW_BYTES) throw unsafe(path, `unpacks to more than ${MOST_RAW_BYTES} bytes`);
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
function asOurs(error: unknown): unknown {
  const code = systemCode(error) ?? '';
  return /^(TAR_|Z_|ERR_)/.test(code) ? notATar(messageOf(error), error) : error;
}

function notATar(why: string, cause?: unknown): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', `the archive is not a whole tar: ${why}`, { cause });
}
