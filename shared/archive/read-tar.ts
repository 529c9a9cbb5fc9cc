import { unsafe } from './archive-rules.ts';
import type { ByteSource } from './byte-source.ts';
import { countIn, lastOf, type PaxRecords, parsePax, timeIn } from './pax.ts';
import { assertSound, isSparse, oldSparseMap, paxSparseMap, type SparseMap } from './sparse.ts';
import { BLOCK, DamagedTar, isZeroBlock, parseHeader, type TarHeader, textIn } from './tar-header.ts';

/**
 * Reads a plain tar as `tar -x` does: the formats v7, ustar, pax and GNU. What it does not understand is an error: it
 * drops no entry, and it never guesses. It holds one chunk of the archive and one entry in memory.
 */

export interface TarEntry {
  path: string;
  type: 'File' | 'Directory' | 'SymbolicLink' | 'Link' | 'FIFO' | 'CharacterDevice' | 'BlockDevice';
  mode: number;
  /** The size of a file, with its holes if it is sparse, bytes. */
  size: number;
  /** Seconds since 1970; may be negative. */
  mtime: number;
  /** The target of a link. */
  linkpath: string;
}

/** The contents of a file, in order. What lies between the pieces, and after them up to the size, is zeros. */
export type TarBody = AsyncIterable<{ position: number; bytes: Buffer }>;

/** Called with each entry, one after the other. `body` may be read once, during the call, or not at all. */
export type Visit = (entry: TarEntry, body: TarBody) => Promise<void> | void;

const TYPES: Readonly<Record<string, TarEntry['type']>> = {
  0: 'File',
  1: 'Link',
  2: 'SymbolicLink',
  3: 'CharacterDevice',
  4: 'BlockDevice',
  5: 'Directory',
  6: 'FIFO',
  7: 'File',
  // A directory of GNU tar's incremental archives: its contents are a list of names.
  D: 'Directory',
  // A sparse file of GNU tar's old format.
  S: 'File',
};
const NOT_SUPPORTED: Readonly<Record<string, string>> = {
  M: 'is the rest of a file of another volume (tar --multi-volume)',
  N: 'is a list of long names of an old version of GNU tar',
  A: 'is an access control list of Solaris tar',
};

const MAX_HEADERS = 500_000;
const MAX_META = 1024 * 1024; // bytes of an extended header or a long name

/** What extension headers say about the next entry. */
interface Extension {
  path?: Buffer;
  linkpath?: Buffer;
  pax?: PaxRecords;
}

/** Reads up to the end mark. @throws DamagedTar, ARCHIVE_UNSAFE for an entry that is not supported, `visit`'s errors. */
export async function readTar(source: ByteSource, visit: Visit): Promise<void> {
  let global: PaxRecords = [];
  let extension: Extension = {};
  for (let headers = 1; headers <= MAX_HEADERS; headers += 1) {
    const block = await source.exactly(BLOCK);
    if (!block)
      throw new DamagedTar('its end mark is missing: it was cut short, or not closed when it was written');
    if (isZeroBlock(block)) return await assertEnd(source, extension);
    const header = parseHeader(block);
    switch (header.type) {
      case 'x':
      case 'X':
        if (extension.pax) throw new DamagedTar('it has two extended headers in a row');
        extension.pax = parsePax(await meta(source, header));
        break;
      case 'g':
        global = merged(global, parsePax(await meta(source, header)));
        break;
      case 'L':
        extension.path = await longName(source, header);
        break;
      case 'K':
        extension.linkpath = await longName(source, header);
        break;
      case 'V':
        // The label of the archive, which names no file.
        await source.skip(padded(header.size));
        break;
      default:
        await readEntry(
          source,
          block,
          header,
          { ...extension, pax: [...global, ...(extension.pax ?? [])] },
          visit,
        );
        extension = {};
    }
  }
  throw new DamagedTar(`it has more than ${MAX_HEADERS} headers`);
}

/** Two blocks of zeros end a tar. */
async function assertEnd(source: ByteSource, extension: Extension): Promise<void> {
  const second = await source.exactly(BLOCK);
  if (!second) throw new DamagedTar('its end mark is cut short');
  if (!isZeroBlock(second)) throw new DamagedTar('it goes on after a block of zeros');
  if (Object.keys(extension).length > 0) throw new DamagedTar('it ends after an extended header');
}

async function meta(source: ByteSource, header: TarHeader): Promise<Buffer> {
  return (await wholeBlocks(source, header)).subarray(0, header.size);
}

/** GNU tar reads a long name up to its NUL, other programs up to its size: both must be one. */
async function longName(source: ByteSource, header: TarHeader): Promise<Buffer> {
  const name = textIn(await wholeBlocks(source, header));
  if (name.length > header.size)
    throw new DamagedTar('it has a long name that is longer than its header says');
  return name;
}

async function wholeBlocks(source: ByteSource, { size }: TarHeader): Promise<Buffer> {
  if (size > MAX_META) throw new DamagedTar(`it has an extended header of ${size} bytes`);
  const bytes = size === 0 ? Buffer.alloc(0) : await source.exactly(padded(size));
  if (!bytes) throw new DamagedTar('it ends in an extended header');
  return bytes;
}

/** Global records that count for all later entries. Only such as suit many entries are accepted. */
function merged(before: PaxRecords, records: PaxRecords): PaxRecords {
  const special = records.find(([key]) =>
    /^(path|linkpath|size|GNU\.(sparse|dumpdir|volume\.[fso]).*)$/.test(key),
  );
  if (special) throw new DamagedTar(`it has a global header with ${special[0]}`);
  const mtime = lastOf([...before, ...records], 'mtime');
  return mtime ? [['mtime', mtime]] : [];
}

async function readEntry(
  source: ByteSource,
  block: Buffer,
  header: TarHeader,
  { path, linkpath, pax = [] }: Extension,
  visit: Visit,
): Promise<void> {
  const own = (key: string) => {
    const value = lastOf(pax, key);
    if (value?.length === 0) throw new DamagedTar(`an extended header has an empty ${key}`);
    return value;
  };
  const sparseName = own('GNU.sparse.name');
  const name = textOf(sparseName ?? own('path') ?? path ?? header.path);
  const type = TYPES[header.type];
  if (!type)
    throw unsafe(name, NOT_SUPPORTED[header.type] ?? `is of an unknown type, ${JSON.stringify(header.type)}`);
  if (name === '') throw new DamagedTar('an entry has no name');
  assertSupported(name, pax);
  const mtime = own('mtime');
  const entry: TarEntry = {
    path: name,
    // Old tars mark a directory by the slash alone.
    type: type === 'File' && name.endsWith('/') ? 'Directory' : type,
    mode: header.mode,
    size: 0,
    mtime: mtime ? timeIn(mtime) : header.mtime,
    linkpath: textOf(own('linkpath') ?? linkpath ?? header.linkpath),
  };
  const size = own('size');
  const stored = size ? countIn(size) : header.size;
  if (entry.type !== 'File' && stored > 0 && header.type !== 'D') {
    throw unsafe(name, `is a ${entry.type} with contents`);
  }
  const { map, used } = await sparseMapOf(source, block, header, pax);
  if (map) {
    if (entry.type !== 'File') throw unsafe(name, 'is sparse, but not a file');
    assertSound(map, stored - used);
  }
  if (entry.type === 'File') entry.size = map?.size ?? stored;
  const rest = { left: stored - used };
  await visit(entry, contentsOf(source, rest, map?.segments ?? [[0, entry.type === 'File' ? stored : 0]]));
  await source.skip(rest.left + padded(stored) - stored);
}

async function sparseMapOf(
  source: ByteSource,
  block: Buffer,
  header: TarHeader,
  pax: PaxRecords,
): Promise<{ map?: SparseMap; used: number }> {
  if (header.type === 'S') return { map: await oldSparseMap(block, source), used: 0 };
  if (!isSparse(pax)) return { used: 0 };
  const { map, stored } = await paxSparseMap(pax, source);
  return { map, used: stored };
}

/** Yields the contents, piece by piece, and counts `rest.left` down. */
async function* contentsOf(
  source: ByteSource,
  rest: { left: number },
  segments: SparseMap['segments'],
): AsyncGenerator<{ position: number; bytes: Buffer }> {
  for (const [offset, length] of segments) {
    for (let at = 0; at < length; ) {
      const bytes = await source.must(length - at);
      rest.left -= bytes.length;
      yield { position: offset + at, bytes };
      at += bytes.length;
    }
  }
}

/** Other records describe owners, time stamps and attributes, which `tar -x` does not restore either. */
function assertSupported(name: string, pax: PaxRecords): void {
  for (const [key] of pax) {
    if (/^GNU\.volume\.(filename|size|offset)$/.test(key)) throw unsafe(name, NOT_SUPPORTED.M ?? '');
    if (/^SCHILY\.(realsize|offset)$/.test(key)) throw unsafe(name, `has ${key}, which is not supported`);
  }
}

function padded(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Buffer): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw unsafe(bytes.toString('latin1'), 'has a name that is not UTF-8');
  }
}
