import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import type { Random } from '../shared/random.ts';
import { writeChecksum } from './raw-tar.ts';

/** What happens to a tar on its way: damage, and compression of many kinds. `notes` say what was done. */

export function endOf(random: Random, notes: string[]): Buffer {
  const blocks = random.pick([2, 2, 2, 20, 40]);
  if (blocks !== 2) notes.push(`${blocks} blocks of zeros`);
  return Buffer.alloc(512 * blocks);
}

/** Damage below the compression, half of it with right checksums. */
export function damagedTar(random: Random, tar: Buffer, notes: string[]): { bytes: Buffer; whole: boolean } {
  if (random.chance(0.6)) return { bytes: tar, whole: true };
  if (random.chance(0.5)) return { bytes: damaged(random, tar, notes), whole: false };
  const bytes = Buffer.from(tar);
  for (let n = 1 + random.below(4); n > 0; n -= 1) {
    const header = 512 * random.below(Math.min(40, bytes.length / 512));
    const at = random.pick([0, 100, 124, 136, 156, 157, 257, 345, 386, 482, 483]) + random.below(12);
    bytes[header + at] = random.pick([0, 0x20, 0x30, 0x31, 0x35, 0x37, 0x80, 0xff, 0x2f, random.below(256)]);
    writeChecksum(bytes.subarray(header, header + 512));
    notes.push(`byte ${header + at} changed, checksum right`);
  }
  return { bytes, whole: false };
}

export function damaged(random: Random, before: Buffer, notes: string[]): Buffer {
  const bytes = Buffer.from(before);
  const at = random.below(bytes.length);
  switch (random.below(6)) {
    case 0:
      notes.push(`cut at ${at}`);
      return bytes.subarray(0, at);
    case 1: {
      const cut = at - (at % 512);
      notes.push(`cut at the block ${cut}`);
      return bytes.subarray(0, cut);
    }
    case 2:
      notes.push('something behind it');
      return Buffer.concat([bytes, random.pick([random.bytes(700), Buffer.alloc(10_240), bytes])]);
    case 3:
      notes.push(`${at} is missing`);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.below(600))]);
    case 4:
      notes.push(`random bytes at ${at}`);
      random.bytes(1 + random.below(64)).copy(bytes, at);
      return bytes;
    default:
      for (let n = 1 + random.below(5); n > 0; n -= 1) {
        const bit = random.below(8 * bytes.length);
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        notes.push(`bit ${bit} flipped`);
      }
      return bytes;
  }
}

const MAGIC = [
  Buffer.from([0x28, 0xb5, 0x2f, 0xfd]),
  Buffer.from([0x1f, 0x8b, 8, 0]),
  Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]),
  Buffer.from('BZh91AY&SY'),
  Buffer.from('PK\x03\x04'),
  Buffer.from([0x1f, 0x9d, 0x90]),
  Buffer.from([0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0]),
];

/** `whole`: the agent must understand it. */
export function compressed(random: Random, tar: Buffer, notes: string[]): { bytes: Buffer; whole: boolean } {
  const level = { level: 1 };
  const zip = (bytes: Buffer) => gzipSync(bytes, level);
  switch (random.below(16)) {
    case 0:
      notes.push('zstd');
      return { bytes: zstdCompressSync(tar), whole: false };
    case 1:
      notes.push('gzipped twice');
      return { bytes: zip(zip(tar)), whole: false };
    case 2:
      notes.push('zlib or brotli');
      return {
        bytes: random.chance(0.5)
          ? deflateSync(tar)
          : brotliCompressSync(tar, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
        whole: false,
      };
    case 3:
      notes.push('only a magic number');
      return { bytes: Buffer.concat([random.pick(MAGIC), random.bytes(random.below(900))]), whole: false };
    case 4:
      notes.push('a magic number before it');
      return { bytes: Buffer.concat([random.pick(MAGIC), tar]), whole: false };
    case 5: {
      const cut = random.below(tar.length);
      notes.push(`two gzip members, cut at ${cut}`);
      return { bytes: Buffer.concat([zip(tar.subarray(0, cut)), zip(tar.subarray(cut))]), whole: true };
    }
    case 6:
    case 7:
    case 8:
    case 9:
      notes.push('gzip');
      return { bytes: zip(tar), whole: true };
    default:
      notes.push('plain');
      return { bytes: tar, whole: true };
  }
}
