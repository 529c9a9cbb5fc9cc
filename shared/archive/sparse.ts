import type { ByteSource } from './byte-source.ts';
import { countIn, lastOf, type PaxRecords } from './pax.ts';
import { BLOCK, DamagedTar, sizeIn } from './tar-header.ts';

/**
 * The maps of sparse files, in the four forms in which GNU tar writes them: its old one (type S), and 0.0, 0.1 and 1.0
 * in extended headers. `tar -cS` and backup tools make them. https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
 */

export interface SparseMap {
  /** The size of the file with its holes, bytes. */
  size: number;
  /** What is stored, in order: where it belongs in the file, and its length. */
  segments: readonly Segment[];
}
export type Segment = readonly [offset: number, length: number];

const MAX_SEGMENTS = 16_384;
/** No number of a stored map has more digits. */
const LONGEST_LINE = 20;

/** The map of an entry of type S. Its extension blocks, if any, come before the contents. @throws DamagedTar. */
export async function oldSparseMap(header: Buffer, source: ByteSource): Promise<SparseMap> {
  const size = sizeIn(header.subarray(483, 495));
  const segments: Segment[] = [];
  let hasMore = addOld(segments, header.subarray(386, 482)) && header[482] !== 0;
  while (hasMore) {
    const block = await source.exactly(BLOCK);
    if (!block) throw new DamagedTar('it ends in a sparse map');
    hasMore = addOld(segments, block.subarray(0, 504)) && block[504] !== 0;
  }
  return { size, segments };
}

/** Adds pairs of 12 bytes each. Returns false after the last one of the map. */
function addOld(segments: Segment[], pairs: Buffer): boolean {
  for (let at = 0; at < pairs.length; at += 24) {
    if (pairs[at + 12] === 0) return false;
    add(segments, sizeIn(pairs.subarray(at, at + 12)), sizeIn(pairs.subarray(at + 12, at + 24)));
  }
  return true;
}

/** Whether the extended header says that the file is sparse. */
export function isSparse(records: PaxRecords): boolean {
  return records.some(([key]) => key.startsWith('GNU.sparse.'));
}

/**
 * The map of a file whose extended header says that it is sparse. Version 1.0 stores it before the contents: `stored`
 * is the number of bytes that this took. @throws DamagedTar.
 */
export async function paxSparseMap(
  records: PaxRecords,
  source: ByteSource,
): Promise<{ map: SparseMap; stored: number }> {
  const value = (name: string) => lastOf(records, `GNU.sparse.${name}`);
  const size = countIn(value('realsize') ?? value('size'));
  const version = `${value('major')?.toString() ?? 0}.${value('minor')?.toString() ?? (value('map') ? 1 : 0)}`;
  switch (version) {
    case '1.0': {
      const { segments, stored } = await storedMap(source);
      return { map: { size, segments }, stored };
    }
    case '0.1':
      return { map: { size, segments: pairs(value('map')?.toString('latin1').split(',') ?? []) }, stored: 0 };
    case '0.0': {
      const numbers = records.filter(([key]) => /^GNU\.sparse\.(offset|numbytes)$/.test(key));
      return {
        map: { size, segments: pairs(numbers.map(([, number]) => number.toString('latin1'))) },
        stored: 0,
      };
    }
    default:
      throw new DamagedTar('it has a sparse file of an unknown version');
  }
}

/** Version 1.0: lines of numbers, the count of pairs first, filled up to whole blocks. */
async function storedMap(source: ByteSource): Promise<{ segments: Segment[]; stored: number }> {
  // Each byte is split once: a small archive can hold very many maps.
  const lines: string[] = [];
  let begun = '';
  for (let stored = BLOCK; ; stored += BLOCK) {
    const block = await source.exactly(BLOCK);
    if (!block) throw new DamagedTar('it ends in a sparse map');
    const parts = (begun + block.toString('latin1')).split('\n');
    begun = parts.pop() ?? '';
    lines.push(...parts);
    const wanted = lines[0] === undefined ? Number.POSITIVE_INFINITY : 2 * countIn(Buffer.from(lines[0])) + 1;
    if (Number.isFinite(wanted) && wanted > 2 * MAX_SEGMENTS) throw tooMany();
    if (lines.length >= wanted) return { segments: pairs(lines.slice(1, wanted)), stored };
    if (begun.length > LONGEST_LINE) throw new DamagedTar('it has a sparse map that is not readable');
  }
}

function pairs(numbers: readonly string[]): Segment[] {
  const segments: Segment[] = [];
  if (numbers.length % 2 !== 0) throw new DamagedTar('it has half of a pair in a sparse map');
  for (let i = 0; i < numbers.length; i += 2) {
    add(segments, countIn(Buffer.from(numbers[i] ?? '')), countIn(Buffer.from(numbers[i + 1] ?? '')));
  }
  return segments;
}

function add(segments: Segment[], offset: number, length: number): void {
  segments.push([offset, length]);
  if (segments.length > MAX_SEGMENTS) throw tooMany();
}

function tooMany(): DamagedTar {
  return new DamagedTar(`it has a sparse file of more than ${MAX_SEGMENTS} pieces`);
}

/**
 * A map ends where the file does: the writers add an empty piece behind a last hole. GNU tar ends a file where its map
 * ends, other programs where the file should end. @throws DamagedTar unless the map is in order, ends with the file, and
 * is as long as the stored contents.
 */
export function assertSound({ size, segments }: SparseMap, stored: number): void {
  let end = 0;
  let sum = 0;
  for (const [offset, length] of segments) {
    if (offset < end || offset + length > size) throw new DamagedTar('it has a wrong sparse map');
    end = offset + length;
    sum += length;
  }
  if (end !== size) throw new DamagedTar('it has a sparse map that ends before its file');
  if (sum !== stored) throw new DamagedTar('it has a sparse map that does not fit the contents');
}
