import { bytesOf, type Content, readPrint, tailOf } from './content.ts';
import { familyOf } from './family.ts';
import type { FoundFile } from './find-files.ts';
import { type Carrier, inodeOf, isSamePrint, PRINT_BYTES, printOf, type Stream } from './streams.ts';

/**
 * Finds out which file has which stream. An inode is a hint only: it is reused, a file is truncated or copied, and a
 * device may have another number after a boot. The bytes decide: a file has a stream if it begins with the same bytes
 * and has the same bytes before the highest offset that was shipped.
 */

/** A file and the stream that it has. */
export interface Sighting {
  file: FoundFile;
  stream: Stream;
  /** Nothing is left to ship: the file is as it was when all of it was shipped. */
  isSettled: boolean;
}

/**
 * With so many logs, whose files are gone or there, a file is compared at most. Thousands of files may begin with the same bytes, and
 * comparing each with each would take hours. A copy of one that is left out is uploaded as a log of its own.
 */
const COMPARED = { gone: 256, there: 16 };

export interface Identifying {
  /** Of all files that were found. Empty files have no stream yet. */
  files: readonly FoundFile[];
  streams: Iterable<Stream>;
  open(file: FoundFile): Promise<Content | undefined>;
  /** A new stream, whose first bytes have this print. */
  begin(file: FoundFile, head: Stream['head']): Stream;
  signal: AbortSignal;
}

/**
 * The streams of the files; one that several files have is reported for the file to read. Sets the carriers of the
 * streams. A file that cannot be opened now has none.
 */
export async function identify(parts: Identifying): Promise<Sighting[]> {
  const { files, signal } = parts;
  const known = new Map<string, Stream[]>();
  const relatives = createRelatives();
  for (const stream of parts.streams) {
    relatives.add(stream);
    for (const carrier of stream.carriers)
      known.set(inodeOf(carrier), [stream, ...(known.get(inodeOf(carrier)) ?? [])]);
  }
  const sightings = new Map<Stream, Sighting[]>();
  const seen = (stream: Stream, file: FoundFile, isSettled: boolean) => {
    const before = sightings.get(stream) ?? [];
    sightings.set(stream, [...before, { file, stream, isSettled }]);
  };
  const unknown: FoundFile[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    if (file.size === 0) continue;
    const streams = known.get(inodeOf(file)) ?? [];
    const settled = streams.find((stream) => isAsSettled(stream, file));
    const stream =
      settled ??
      (await using(parts, file, async (content) => {
        for (const one of streams) if (await hasStream(content, one)) return one;
        return undefined;
      }));
    if (stream) seen(stream, file, stream === settled);
    else unknown.push(file);
  }
  // The log itself comes before its copies, and a file before what is compressed of it.
  unknown.sort((a, b) => a.label.length - b.label.length || (a.label < b.label ? -1 : 1));
  for (const file of unknown) {
    signal.throwIfAborted();
    await using(parts, file, async (content) => {
      const head = await bytesOf(content, 0, PRINT_BYTES);
      if (head.length === 0) return;
      const similar = relatives.of(file.label, head);
      const found = await streamOf(content, likeliest(similar, file.label, sightings), parts, sightings);
      if (found) return seen(found, file, false);
      const stream = parts.begin(file, printOf(head));
      relatives.add(stream);
      seen(stream, file, false);
    });
  }
  return [...sightings].flatMap(([stream, all]) => settle(stream, all));
}

/** The file to read stays the same as long as it is there: a copy may still be written. */
function settle(stream: Stream, all: readonly Sighting[]): Sighting[] {
  const place = ({ file }: Sighting) => {
    const index = stream.carriers.findIndex((one) => inodeOf(one) === inodeOf(file));
    return index === -1 ? stream.carriers.length : index;
  };
  const ordered = [...all].sort((a, b) => place(a) - place(b));
  stream.carriers = ordered.map(({ file, isSettled }): Carrier => {
    const before = stream.carriers.find((one) => inodeOf(one) === inodeOf(file));
    return {
      ...{ dev: file.dev, ino: file.ino },
      ...(isSettled && before?.settled && { settled: before.settled }),
    };
  });
  const [first] = ordered;
  return first ? [first] : [];
}

function isAsSettled(stream: Stream, file: FoundFile): boolean {
  const settled = stream.carriers.find((one) => inodeOf(one) === inodeOf(file))?.settled;
  return settled?.size === file.size && settled.mtime === file.mtime;
}

/** Streams by what a copy of them has in common with them: the family of the name, and the first bytes. */
function createRelatives() {
  const families = new Map<string, Map<number, Map<string, Stream[]>>>();
  return {
    add(stream: Stream): void {
      const { name, head } = stream;
      const lengths = families.get(familyOf(name)) ?? new Map<number, Map<string, Stream[]>>();
      const digests = lengths.get(head.length) ?? new Map<string, Stream[]>();
      digests.set(head.digest, [...(digests.get(head.digest) ?? []), stream]);
      lengths.set(head.length, digests);
      families.set(familyOf(name), lengths);
    },
    of(name: string, head: Buffer): Stream[] {
      const lengths = [...(families.get(familyOf(name)) ?? [])];
      return lengths.flatMap(([length, digests]) =>
        length > head.length ? [] : (digests.get(printOf(head.subarray(0, length)).digest) ?? []),
      );
    },
  };
}

/** Whether the content begins as the stream, and has all of it that was planned. */
export async function hasStream(content: Content, { head, tail }: Stream): Promise<boolean> {
  if (!isSamePrint(await readPrint(content, 0, head.length), head)) return false;
  return isSamePrint(await readPrint(content, tail.end - tail.length, tail.end), tail);
}

/** The streams that are worth a comparison: those begun last, and before them what the name says that it is a copy of. */
function likeliest(
  streams: readonly Stream[],
  label: string,
  sightings: ReadonlyMap<Stream, readonly Sighting[]>,
): Stream[] {
  const newest = streams.toReversed();
  const gone = newest.filter((stream) => !sightings.has(stream));
  const closeness = (stream: Stream) => {
    const original = sightings.get(stream)?.[0]?.file.label ?? '';
    return label.startsWith(original) ? original.length : 0;
  };
  const there = newest
    .filter((stream) => sightings.has(stream))
    .map((stream) => ({ stream, close: closeness(stream) }))
    .sort((a, b) => b.close - a.close)
    .map(({ stream }) => stream);
  return [...gone.slice(0, COMPARED.gone), ...there.slice(0, COMPARED.there)];
}

/** The stream, of these, that an unknown file has: it is a copy, or the file itself under another inode. */
async function streamOf(
  content: Content,
  streams: readonly Stream[],
  parts: Identifying,
  sightings: ReadonlyMap<Stream, readonly Sighting[]>,
): Promise<Stream | undefined> {
  for (const stream of streams) {
    const original = sightings.get(stream)?.[0];
    const has = original
      ? await using(parts, original.file, (first) => isCopy(content, first))
      : await hasStream(content, stream);
    if (has) return stream;
  }
  return undefined;
}

/** Whether `copy` has the first bytes of `original`: all that it has, or all that there are. Compares both ends. */
async function isCopy(copy: Content, original: Content): Promise<boolean> {
  const head = await readPrint(copy, 0, PRINT_BYTES);
  if (head.length === 0 || !isSamePrint(await readPrint(original, 0, head.length), head)) return false;
  const end = await copy.end();
  if (end > (await original.end())) return false;
  return isSamePrint(await tailOf(copy, end), await tailOf(original, end));
}

async function using<T>(
  { open }: Identifying,
  file: FoundFile,
  work: (content: Content) => Promise<T>,
): Promise<T | undefined> {
  const content = await open(file);
  try {
    return content && (await work(content));
  } finally {
    await content?.close();
  }
}
