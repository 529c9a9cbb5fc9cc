/** One header block of a tar, as POSIX (ustar, pax), GNU tar and the old Unix tar (v7) write it. Pure. */

export const BLOCK = 512; // bytes

/** A damaged header; the message completes "the archive is damaged: ...". */
export class DamagedTar extends Error {}

export interface TarHeader {
  /** The type flag; the NUL of old tars is '0', as in POSIX. */
  type: string;
  path: Buffer;
  linkpath: Buffer;
  mode: number;
  size: number; // bytes
  mtime: number; // seconds since 1970, may be negative
}

/** Where the fields of a header are: first byte, and the byte after the last one. */
const FIELD = {
  name: [0, 100],
  mode: [100, 108],
  size: [124, 136],
  mtime: [136, 148],
  checksum: [148, 156],
  type: [156, 157],
  linkname: [157, 257],
  magic: [257, 263],
  prefix: [345, 500],
} as const;
const USTAR = 'ustar\0';

const ZEROS = Buffer.alloc(BLOCK);

export function isZeroBlock(block: Buffer): boolean {
  return block.equals(ZEROS);
}

/** Whether the first block has the checksum of a tar header. Old tars sum signed bytes. */
export function isTarHeader(bytes: Buffer): boolean {
  let wanted: number;
  try {
    wanted = numberIn(field(bytes, 'checksum'), 'checksum');
  } catch {
    return false;
  }
  let [unsigned, signed] = [0, 0];
  for (let i = 0; i < BLOCK; i += 1) {
    const isChecksum = i >= FIELD.checksum[0] && i < FIELD.checksum[1];
    const byte = isChecksum ? 0x20 : (bytes[i] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  return wanted === unsigned || wanted === signed;
}

/** @throws DamagedTar if the checksum or a number is wrong. */
export function parseHeader(block: Buffer): TarHeader {
  if (!isTarHeader(block)) throw new DamagedTar('a header has a wrong checksum');
  const type = field(block, 'type').toString('latin1');
  const name = textIn(field(block, 'name'));
  // Only POSIX has a prefix. GNU tar has other fields in its place.
  const isPosix = field(block, 'magic').toString('latin1') === USTAR;
  const prefix = isPosix ? textIn(field(block, 'prefix')) : Buffer.alloc(0);
  return {
    type: type === '\0' ? '0' : type,
    path: Buffer.from(prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name),
    linkpath: Buffer.from(textIn(field(block, 'linkname'))),
    mode: numberIn(field(block, 'mode'), 'mode') & 0o7777,
    size: sizeIn(field(block, 'size')),
    mtime: numberIn(field(block, 'mtime'), 'time stamp'),
  };
}

function field(block: Buffer, name: keyof typeof FIELD): Buffer {
  const [start, end] = FIELD[name];
  return block.subarray(start, end);
}

/** The bytes before the first NUL. */
export function textIn(bytes: Buffer): Buffer {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

/** A size or an offset in bytes. @throws DamagedTar. */
export function sizeIn(bytes: Buffer): number {
  const size = numberIn(bytes, 'size');
  if (size < 0) throw new DamagedTar('a header has a negative size');
  return size;
}

/**
 * A number as octal digits, or as GNU's big-endian binary number (its first byte is 80 or, for a negative one, ff). A
 * field of NULs is 0. @throws DamagedTar.
 */
function numberIn(bytes: Buffer, what: string): number {
  const [first] = bytes;
  if (first === 0x80 || first === 0xff) {
    const digits = BigInt(`0x${bytes.toString('hex')}`);
    const bits = BigInt(8 * bytes.length);
    const value = Number(first === 0xff ? digits - (1n << bits) : digits - (0x80n << (bits - 8n)));
    if (Number.isSafeInteger(value)) return value;
    throw new DamagedTar(`a header has a ${what} out of range`);
  }
  const octal = /^\0? *([0-7]+)(?:[ \0]|$)/.exec(bytes.toString('latin1'))?.[1];
  if (octal !== undefined) {
    const value = Number.parseInt(octal, 8);
    if (Number.isSafeInteger(value)) return value;
  } else if (bytes.every((byte) => byte === 0)) return 0;
  throw new DamagedTar(`a header has a ${what} that is not a number`);
}
