/** Tars built byte by byte, as many programs write them, and as none should. */

export interface RawEntry {
  name?: string | Buffer;
  type?: string;
  body?: string | Buffer;
  mode?: number;
  linkname?: string | Buffer;
  prefix?: string;
  magic?: string;
  /** The size field: octal digits or the bytes as they are; by default that of the body. */
  size?: number | Buffer;
  mtime?: number | Buffer;
  /** Bytes written into the header before the checksum, by position. */
  patch?: Readonly<Record<number, string | Buffer>>;
  checksum?: 'right' | 'signed' | 'wrong';
}

const USTAR = 'ustar\x0000';
export const GNU = 'ustar  \0';
export const V7 = '\0'.repeat(8);

const octal = (value: number, length: number) => `${value.toString(8).padStart(length - 1, '0')}\0`;

function rawHeader(entry: RawEntry): Buffer {
  const { name = 'file', type = '0', body = '', mode = 0o644, linkname = '', prefix = '' } = entry;
  const { magic = USTAR, size = Buffer.from(body).length, mtime = 1_600_000_000 } = entry;
  const block = Buffer.alloc(512);
  Buffer.from(name).copy(block, 0, 0, 100);
  block.write(octal(mode, 8) + octal(4711, 8) + octal(4711, 8), 100, 'latin1');
  (typeof size === 'number' ? Buffer.from(octal(size, 12)) : size).copy(block, 124, 0, 12);
  (typeof mtime === 'number' ? Buffer.from(octal(mtime, 12)) : mtime).copy(block, 136, 0, 12);
  block.write(type, 156, 'latin1');
  Buffer.from(linkname).copy(block, 157, 0, 100);
  block.write(magic, 257, 'latin1');
  block.write(prefix, 345, 'latin1');
  for (const [at, bytes] of Object.entries(entry.patch ?? {})) Buffer.from(bytes).copy(block, Number(at));
  writeChecksum(block, entry.checksum);
  return block;
}

/** Writes the checksum into a header, after every other change of it. */
export function writeChecksum(block: Buffer, kind: RawEntry['checksum'] = 'right'): void {
  block.fill(' ', 148, 156);
  let sum = kind === 'wrong' ? 1 : 0;
  for (const byte of block) sum += kind === 'signed' && byte > 127 ? byte - 256 : byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

const END = Buffer.alloc(1024);

const filled = (body: Buffer) => Buffer.concat([body, Buffer.alloc((512 - (body.length % 512)) % 512)]);

/** The entries, one after the other, and the end mark. */
export function rawTar(entries: readonly RawEntry[], end: Buffer = END): Buffer {
  return Buffer.concat([
    ...entries.flatMap((entry) => [rawHeader(entry), filled(Buffer.from(entry.body ?? ''))]),
    end,
  ]);
}

/** An extended header (`x`) with these records. A value may be raw bytes. */
export function pax(records: readonly (readonly [string, string | Buffer])[], type = 'x'): RawEntry {
  const body = Buffer.concat(
    records.map(([key, value]) => {
      const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
      let length = rest.length;
      while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
      return Buffer.concat([Buffer.from(String(length)), rest]);
    }),
  );
  return { name: './PaxHeaders/x', type, body };
}

/** GNU's long name (`L`) or long link name (`K`). */
export function long(type: 'L' | 'K', text: string): RawEntry {
  return { name: '././@LongLink', type, body: `${text}\0`, magic: GNU };
}

/** GNU's binary number in a field of 12 bytes. */
export function base256(value: bigint): Buffer {
  const bytes = Buffer.alloc(12, value < 0n ? 0xff : 0);
  const wrapped = BigInt.asUintN(88, value);
  Buffer.from(wrapped.toString(16).padStart(22, '0'), 'hex').copy(bytes, 1);
  bytes[0] = value < 0n ? 0xff : 0x80;
  return bytes;
}
