import { TriggerDeployError } from '../errors.ts';
import { isTarHeader, isZeroBlock } from './tar-header.ts';

/** What a file is, by its first bytes. Pure. The bytes decide: no library guesses a format, and no name decides one. */

export interface Format {
  id: string;
  /** For messages: `it is a zip`. */
  what: string;
  /** What to do instead of deploying it; undefined for what can be deployed. */
  hint?: string;
}

/** How many of the first bytes `formatOf` reads. */
export const HEAD_BYTES = 512;

const REPACK = 'pack the files again: tar -czf NAME.tar.gz -C DIRECTORY .';
const RECOMPRESS = (program: string) =>
  `compress it with gzip instead: ${program} -dc FILE | gzip > NAME.tar.gz`;

const TAR: Format = { id: 'tar', what: 'a tar' };
const GZIP: Format = { id: 'gzip', what: 'compressed with gzip' };
const ZIP: Format = { id: 'zip', what: 'a zip', hint: REPACK };
const DEB: Format = { id: 'deb', what: 'a Debian package' };
const UNKNOWN: Format = { id: 'unknown', what: 'neither a tar nor compressed with gzip', hint: REPACK };

const MAGIC: readonly [magic: string | readonly number[], format: Format][] = [
  [[0x1f, 0x8b], GZIP],
  ['PK\x03\x04', ZIP],
  ['PK\x05\x06', ZIP],
  ['PK\x07\x08', ZIP],
  ['!<arch>\ndebian-binary', DEB],
  ['!<arch>\n', { id: 'ar', what: 'an ar archive that is no Debian package', hint: REPACK }],
  [[0x28, 0xb5, 0x2f, 0xfd], compressed('zstd', 'zstd')],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], compressed('xz', 'xz')],
  ['BZh', compressed('bzip2', 'bzip2')],
  [[0x04, 0x22, 0x4d, 0x18], compressed('lz4', 'lz4')],
  [[0x02, 0x21, 0x4c, 0x18], compressed('lz4', 'lz4')],
  [[0x5d, 0x00, 0x00], compressed('lzma', 'lzma')],
  ['LZIP', compressed('lzip', 'lzip')],
  [[0x89, 0x4c, 0x5a, 0x4f, 0x00], compressed('lzop', 'lzop')],
  [[0x1f, 0x9d], compressed('compress', 'gzip')],
  [[0x1f, 0xa0], compressed('compress', 'gzip')],
  [[0x1f, 0x1e], compressed('pack', 'gzip')],
  [[0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c], { id: '7z', what: 'a 7z archive', hint: REPACK }],
  ['Rar!\x1a\x07', { id: 'rar', what: 'a rar archive', hint: REPACK }],
  ['070701', { id: 'cpio', what: 'a cpio archive', hint: REPACK }],
  ['070702', { id: 'cpio', what: 'a cpio archive', hint: REPACK }],
  ['070707', { id: 'cpio', what: 'a cpio archive', hint: REPACK }],
  [[0xed, 0xab, 0xee, 0xdb], { id: 'rpm', what: 'an rpm package', hint: REPACK }],
  ['hsqs', { id: 'squashfs', what: 'a squashfs image', hint: REPACK }],
  ['\x7fELF', { id: 'elf', what: 'a program, not a package', hint: REPACK }],
  [[0xca, 0xfe, 0xba, 0xbe], { id: 'class', what: 'a Java class file', hint: 'build a runnable jar' }],
  ['#!', { id: 'script', what: 'a script, not a package', hint: REPACK }],
  [
    'version https://git-lfs',
    { id: 'lfs', what: 'a pointer of Git LFS, not the file itself', hint: 'fetch the file: git lfs pull' },
  ],
];

function compressed(id: string, program: string): Format {
  return { id, what: `compressed with ${id}, which is not supported`, hint: RECOMPRESS(program) };
}

/** The format of a file that begins with `head`, its first HEAD_BYTES bytes or the whole file. */
export function formatOf(head: Uint8Array): Format {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (bytes.length === 0) return { id: 'empty', what: 'empty', hint: 'check that the build wrote it' };
  // A header of a tar has a checksum, so it is more certain than the few bytes of a magic number.
  if (bytes.length >= HEAD_BYTES && (isTarHeader(bytes) || isZeroBlock(bytes.subarray(0, 512)))) return TAR;
  for (const [magic, format] of MAGIC) {
    const wanted = typeof magic === 'string' ? Buffer.from(magic, 'latin1') : Buffer.from(magic);
    if (bytes.subarray(0, wanted.length).equals(wanted)) return format;
  }
  // zstd can begin with frames that hold no data; their magic numbers end in 50 to 5f.
  if (bytes.subarray(1, 4).equals(Buffer.from([0x2a, 0x4d, 0x18])) && ((bytes[0] ?? 0) & 0xf0) === 0x50) {
    return compressed('zstd', 'zstd');
  }
  if (/^\s*(<!doctype|<html|<\?xml)/i.test(bytes.toString('latin1'))) {
    const hint = 'check where it was downloaded from: this may be the page of an error or of a login';
    return { id: 'html', what: 'a page of HTML or XML, not a package', hint };
  }
  return UNKNOWN;
}

/** PACKAGE_INVALID for `name`, which is `format` where another format is needed: `a jar`. */
export function wrongFormat(name: string, format: Format, needed: string): TriggerDeployError {
  const not = format.hint === undefined ? `, not ${needed}` : '';
  return new TriggerDeployError('PACKAGE_INVALID', `${name} is ${format.what}${not}`, {
    hint: format.hint ?? `name and contents must agree: rename the file, or pack it as ${needed}`,
  });
}
