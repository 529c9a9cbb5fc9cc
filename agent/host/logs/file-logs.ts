import type { Log } from '../../../shared/log.ts';
import { bytesOf, type Content, openContent } from './content.ts';
import { familyOf } from './family.ts';
import { type FoundFile, findFiles, type LogFiles, openDirectories, openFound } from './find-files.ts';
import type { Turn } from './gate.ts';
import { hasStream, identify, type Sighting } from './identify.ts';
import { pack } from './pack.ts';
import {
  firstGap,
  lastGap,
  PRINT_BYTES,
  printOf,
  type Range,
  type Stream,
  unshipped,
  withRange,
} from './streams.ts';
import { newLogId, type Uploads } from './uploads.ts';

/** The log files of one service: which there are, and what of them is not in the bucket yet. */

/** How long a log is remembered whose file is gone, looks: it may come back under another name. */
const REMEMBERED_LOOKS = 1440;
/** So many of them at most. */
const REMEMBERED = 1000;

/** A file with something to ship. */
export interface Unsettled extends Sighting {
  /** It is the newest file of its family: the one that is written, as far as its name and time show. */
  isCurrent: boolean;
}

export interface FileLogs {
  /** Looks at the files. Those with something to ship are returned, the oldest first. */
  look(signal: AbortSignal): Promise<Unsettled[]>;
  /**
   * Ships the file part by part, from its first byte on, as long as it gets a turn. `from: 'end'`: only its last part. What
   * changes meanwhile is left to the next look.
   */
  ship(sighting: Sighting, how: ShipHow): Promise<void>;
  /** How many bytes of it are not in the bucket; of a compressed file, at least. */
  left(sighting: Sighting): number;
  /** Closes what is open since the last look. */
  close(): Promise<void>;
}

/** The newest file of each family, empty ones included. */
function newestOf(files: readonly FoundFile[]): ReadonlySet<FoundFile> {
  const newest = new Map<string, FoundFile>();
  for (const file of files) {
    const family = `${file.dir}/${familyOf(file.label)}`;
    const other = newest.get(family);
    const isNewer = !other || file.mtime > other.mtime;
    const isShorter = file.mtime === other?.mtime && file.label.length < other.label.length;
    if (isNewer || isShorter) newest.set(family, file);
  }
  return new Set(newest.values());
}

export interface ShipHow {
  signal: AbortSignal;
  isLast: boolean;
  from: 'start' | 'end';
  /** Waits for the turn of an upload; undefined ends it. */
  turn(): Promise<Turn | undefined>;
}

export interface FileLogsOptions {
  places: readonly LogFiles[];
  uploads: Uploads;
  compress: boolean;
  /** Bytes of a log in one part at most. */
  partBytes: number;
  /** ms since the epoch */
  now: () => number;
  log: Log;
}

export function createFileLogs(options: FileLogsOptions): FileLogs {
  const { places, uploads, compress, partBytes, now, log } = options;
  const streams = new Map<string, Stream>();
  for (const entry of uploads.entries.values()) if (entry.kind === 'file') streams.set(entry.id, entry);
  /** The streams whose file is gone: since how many looks, and how many bytes were not shipped. */
  const gone = new Map<string, number>();
  const ends = new Map<string, number>();
  const told = new Map<string, string>();
  const directories = openDirectories();

  function skipped(path: string, why: string): void {
    if (told.get(path) === why) return;
    if (told.size > REMEMBERED) told.clear();
    told.set(path, why);
    log.warn({ path }, `a log is not uploaded: ${path}: ${why}`);
  }

  async function open(file: FoundFile, signal: AbortSignal): Promise<Content | undefined> {
    const handle = await openFound(file, directories, skipped);
    return handle && (await openContent(handle, signal));
  }

  function begin(file: FoundFile, head: Stream['head']): Stream {
    const id = newLogId();
    const tail = { ...printOf(Buffer.alloc(0)), end: 0 };
    const stream: Stream = {
      ...{ kind: 'file', id, name: file.label, since: now(), head, tail, shipped: [] },
      carriers: [{ dev: file.dev, ino: file.ino }],
    };
    streams.set(id, stream);
    return stream;
  }

  /** Forgets streams whose files have been gone for long. */
  async function forget(seen: ReadonlySet<Stream>): Promise<void> {
    const forgotten: string[] = [];
    for (const [id, stream] of streams) {
      if (seen.has(stream)) gone.delete(id);
      else {
        const end = ends.get(id);
        const bytes = end === undefined ? 0 : unshipped(stream.shipped, end);
        if (bytes > 0)
          log.warn({ file: stream.name, bytes }, `${stream.name} is gone before its end was uploaded`);
        gone.set(id, (gone.get(id) ?? 0) + 1);
        if (!uploads.entries.has(id) || (gone.get(id) ?? 0) > REMEMBERED_LOOKS) forgotten.push(id);
      }
      ends.delete(id);
    }
    const tooMany = gone.size - forgotten.length - REMEMBERED;
    if (tooMany > 0)
      forgotten.push(...[...gone.keys()].filter((id) => !forgotten.includes(id)).slice(0, tooMany));
    const noted = forgotten.filter((id) => uploads.entries.has(id));
    if (noted.length > 0) await uploads.note(Object.fromEntries(noted.map((id) => [id, undefined])));
    for (const id of forgotten) {
      streams.delete(id);
      gone.delete(id);
    }
  }

  /** Reads the part. Undefined if the file has changed meanwhile: it was truncated, replaced or removed. */
  async function read(content: Content, stream: Stream, range: Range, headBytes: Buffer) {
    const before = await content.stat();
    const last: Buffer[] = [];
    async function* watched() {
      for await (const chunk of content.chunks(...range)) {
        last.push(Buffer.from(chunk.subarray(-PRINT_BYTES)));
        if (last.length > 1 && (last.at(-1)?.length ?? 0) >= PRINT_BYTES) last.splice(0, last.length - 1);
        yield chunk;
      }
    }
    const packed = await pack(watched(), compress);
    const end = range[0] + packed.length;
    const after = await content.stat();
    const isSame = content.compressed
      ? before.size === after.size && before.mtime === after.mtime
      : after.size >= end && (await hasStream(content, stream));
    if (!isSame) return undefined;
    const head = printOf(headBytes.subarray(0, end));
    const tail =
      end < stream.tail.end ? stream.tail : { ...printOf(Buffer.concat(last).subarray(-PRINT_BYTES)), end };
    return { packed, end, prints: { head: head.length > stream.head.length ? head : stream.head, tail } };
  }

  return {
    async look(signal) {
      const files = await findFiles(places, directories, skipped, signal);
      const sightings = await identify({
        ...{ files, streams: [...streams.values()], begin, signal },
        open: (file) => open(file, signal),
      });
      await forget(new Set(sightings.map(({ stream }) => stream)));
      for (const { file, stream } of sightings) ends.set(stream.id, file.size);
      const newest = newestOf(files);
      return sightings
        .filter(({ isSettled }) => !isSettled)
        .map((one) => ({ ...one, isCurrent: newest.has(one.file) }))
        .sort((a, b) => a.file.mtime - b.file.mtime);
    },

    close: directories.close,

    left: ({ file, stream }) => unshipped(stream.shipped, file.size),

    async ship({ file, stream }, how) {
      const content = await open(file, how.signal);
      if (!content) return;
      try {
        if (!(await hasStream(content, stream))) return;
        // Of a compressed file, the first bytes are read once, before all others.
        const head = content.compressed ? await bytesOf(content, 0, PRINT_BYTES) : undefined;
        while (await shipPart(content, stream, how, head));
      } finally {
        await content.close();
      }
    },
  };

  /** Returns whether there may be more. */
  async function shipPart(content: Content, stream: Stream, how: ShipHow, known?: Buffer): Promise<boolean> {
    const { signal, isLast, from } = how;
    const stat = await content.stat();
    const { plan } = stream;
    const end = content.compressed ? Number.POSITIVE_INFINITY : stat.size;
    const gap = from === 'end' && !content.compressed ? lastGap : firstGap;
    const range = plan ?? gap(stream.shipped, end, partBytes);
    if (!range) return await settle(stream, stat);
    const turn = await how.turn();
    if (!turn) return false;
    try {
      const head = known ?? (await bytesOf(content, 0, PRINT_BYTES));
      const part = await read(content, stream, range, head);
      if (!part || (plan && part.end !== plan[1])) return false;
      if (part.packed.length === 0) return await settle(stream, stat);
      const actual: Range = [range[0], part.end];
      if (!plan) {
        const planned = { ...stream, ...part.prints, plan: actual };
        await uploads.note({ [stream.id]: planned }, isLast);
        Object.assign(stream, planned);
      }
      const { id, name, since } = stream;
      const { body, compressed, sha256 } = part.packed;
      const named = { id, name, since, start: actual[0], end: actual[1] };
      const done = () => {
        stream.shipped = withRange(stream.shipped, actual);
        delete stream.plan;
        const isAll = content.compressed ? part.end < range[1] : unshipped(stream.shipped, stat.size) === 0;
        const [first] = stream.carriers;
        if (isAll && first) first.settled = stat;
        return { [id]: stream };
      };
      await uploads.upload({ ...named, body, compressed, sha256 }, done, { signal, isLast, turn });
      return from === 'start' || plan !== undefined;
    } finally {
      turn.release();
    }
  }

  /** Nothing of the file is left to ship while it stays as it is. */
  async function settle(stream: Stream, stat: { size: number; mtime: number }): Promise<false> {
    const [first] = stream.carriers;
    if (first && stream.shipped.length > 0) {
      first.settled = stat;
      await uploads.note({ [stream.id]: stream });
    }
    return false;
  }
}
