import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { crc32, deflateRawSync, inflateRawSync, zstdCompressSync } from 'node:zlib';

/**
 * `node test/bench/delta.ts OLD NEW`: how much of the file NEW an instance that has OLD would have to download, by the
 * entries of the zip and by content-defined chunks, and whether that saves time. `node test/bench/delta.ts OLD --usual NEW`
 * first makes NEW of OLD: the same jar, packed anew, with ten classes changed. docs/DECISIONS.md has the decision.
 */

interface Segment {
  start: number;
  end: number;
  /** Whether the index holds the bytes themselves: a zip's headers have the time of the build, and compress well. */
  inIndex?: boolean;
}

/** Missing ranges that are this close are one request, bytes: a request costs more than they do. */
const GAP = 128 * 1024;
/** Until the first byte of an answer of S3, ms, and how many requests run at a time. */
const FIRST_BYTE_MS = 25;
const PARALLEL = 8;
const RATES = { '50 Mbit/s': 50e6 / 8, '1 Gbit/s': 1e9 / 8, '10 Gbit/s': 10e9 / 8 };
const MB = 1e6;

/** A fixed table of random numbers: both sides must cut alike. */
const GEAR = Int32Array.from({ length: 256 }, (_, i) =>
  createHash('sha256').update(`${i}`).digest().readInt32LE(),
);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { usual: { type: 'string' } },
});
const [oldFile = '', given] = positionals;
if (values.usual !== undefined) writeFileSync(values.usual, usualRelease(readFileSync(oldFile)));
const before = readFileSync(oldFile);
const after = readFileSync(values.usual ?? given ?? '');
process.stdout.write(`old ${(before.length / MB).toFixed(2)} MB, new ${(after.length / MB).toFixed(2)} MB\n`);
const ways: [string, (file: Buffer) => Segment[]][] = [
  ['chunks of 8 KiB', (file) => chunks(file, 8)],
  ['chunks of 16 KiB', (file) => chunks(file, 16)],
  ['chunks of 64 KiB', (file) => chunks(file, 64)],
];
if (isZip(before) && isZip(after)) ways.unshift(['zip entries', zipSegments]);
const whole = Object.entries(RATES).map(
  ([rate, perS]) => `${rate} ${wholeMs(after.length, perS).toFixed(0)} ms`,
);
process.stdout.write(`whole file: ${whole.join(', ')}\n`);
for (const [name, cut] of ways) compare(name, cut);

function compare(name: string, cut: (file: Buffer) => Segment[]): void {
  const started = process.cpuUsage();
  const parts = cut(after).map((part) => ({ ...part, digest: digestOf(after, part) }));
  const { user, system } = process.cpuUsage(started);
  const pushMs = (user + system) / 1000;
  const agentStarted = process.cpuUsage();
  const there = new Set(cut(before).map((part) => digestOf(before, part)));
  const agent = process.cpuUsage(agentStarted);
  const agentMs = (agent.user + agent.system) / 1000;
  const missing = parts.filter((part) => !part.inIndex && !there.has(part.digest));
  const exact = missing.reduce((sum, { start, end }) => sum + end - start, 0);
  const ranges = joined(missing);
  const bytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const listed = parts
    .filter(({ inIndex }) => !inIndex)
    .map(({ start, end, digest }) => lineOf(end - start, digest));
  const held = parts.filter(({ inIndex }) => inIndex).map(({ start, end }) => after.subarray(start, end));
  const index = zstdCompressSync(Buffer.concat([...listed, ...held])).length;
  const times = Object.entries(RATES).map(([rate, perS]) => {
    const ms =
      FIRST_BYTE_MS +
      Math.ceil(ranges.length / PARALLEL) * FIRST_BYTE_MS +
      ((index + bytes) / perS) * 1000 +
      agentMs;
    return `${rate} ${ms.toFixed(0)} ms`;
  });
  const share = (part: number) => `${((part / after.length) * 100).toFixed(1)} %`;
  process.stdout.write(
    `${name}: ${parts.length} parts, missing ${missing.length} parts, ${(exact / MB).toFixed(2)} MB (${share(exact)}); ` +
      `in ${ranges.length} requests ${(bytes / MB).toFixed(2)} MB (${share(bytes)}); index ${(index / 1000).toFixed(0)} kB (${share(index)}); ` +
      `CPU: push ${pushMs.toFixed(0)} ms, agent ${agentMs.toFixed(0)} ms; ${times.join(', ')}\n`,
  );
}

/** A download in 8 MB ranges, as the agent makes it: the first byte, then the line is full. */
function wholeMs(size: number, perS: number): number {
  return FIRST_BYTE_MS + (size / perS) * 1000;
}

function digestOf(file: Buffer, { start, end }: Segment): string {
  return createHash('sha256').update(file.subarray(start, end)).digest('hex');
}

/** What the index says of a part: its length and 128 bits of its sha256. The whole file's sha256 is checked anyway. */
function lineOf(length: number, digest: string): Buffer {
  const line = Buffer.alloc(20);
  line.writeUInt32LE(length);
  Buffer.from(digest.slice(0, 32), 'hex').copy(line, 4);
  return line;
}

function joined(missing: readonly Segment[]): Segment[] {
  const all: Segment[] = [];
  for (const { start, end } of missing) {
    const last = all.at(-1);
    if (last !== undefined && start - last.end <= GAP) last.end = end;
    else all.push({ start, end });
  }
  return all;
}

/** FastCDC (Xia et al., USENIX ATC 2016) with a gear hash; `kib` is the expected size of a chunk. */
function chunks(file: Buffer, kib: number): Segment[] {
  const average = kib * 1024;
  const bits = Math.log2(average);
  const [strict, loose] = [maskOf(bits + 1), maskOf(bits - 1)];
  const found: Segment[] = [];
  for (let start = 0; start < file.length; ) {
    const least = Math.min(start + average / 4, file.length);
    const usual = Math.min(start + average, file.length);
    const most = Math.min(start + average * 8, file.length);
    let at = least;
    let hash = 0;
    for (; at < most; at += 1) {
      hash = ((hash << 1) + (GEAR[file[at] as number] as number)) | 0;
      if ((hash & (at < usual ? strict : loose)) === 0) break;
    }
    found.push({ start, end: Math.min(at + 1, file.length) });
    start = at + 1;
  }
  return found;
}

/** The highest `bits` bits: those that depend on the most bytes. */
function maskOf(bits: number): number {
  return (0xffffffff << (32 - bits)) | 0;
}

interface Entry extends Segment {
  name: string;
  /** Where its compressed bytes begin. */
  data: number;
  method: number;
}

function isZip(file: Buffer): boolean {
  return file.readUInt32LE(0) === 0x04034b50;
}

/** APPNOTE.TXT of PKWARE, 4.3: each entry's header, its bytes, then the central directory. */
function entriesOf(file: Buffer): { entries: Entry[]; directory: number } {
  const end = file.lastIndexOf(Buffer.from([0x50, 0x4b, 5, 6]));
  const count = file.readUInt16LE(end + 10);
  const directory = file.readUInt32LE(end + 16);
  const entries: Entry[] = [];
  for (let at = directory, i = 0; i < count; i += 1) {
    const size = file.readUInt32LE(at + 20);
    const [name, extra, comment] = [28, 30, 32].map((field) => file.readUInt16LE(at + field)) as [
      number,
      number,
      number,
    ];
    const start = file.readUInt32LE(at + 42);
    const data = start + 30 + file.readUInt16LE(start + 26) + file.readUInt16LE(start + 28);
    entries.push({
      ...{ start, data, end: data + size, method: file.readUInt16LE(at + 10) },
      name: file.toString('utf8', at + 46, at + 46 + name),
    });
    at += 46 + name + extra + comment;
  }
  return { entries: entries.sort((a, b) => a.start - b.start), directory };
}

/** The compressed bytes of each entry, and what lies between them. Together they are the whole file. */
function zipSegments(file: Buffer): Segment[] {
  const all: Segment[] = [];
  let at = 0;
  for (const { data, end } of entriesOf(file).entries) {
    if (end === data) continue;
    if (data > at) all.push({ start: at, end: data, inIndex: true });
    all.push({ start: data, end });
    at = end;
  }
  if (at < file.length) all.push({ start: at, end: file.length, inIndex: true });
  return all;
}

/** The jar as the next build packs it: ten classes changed, each entry with the time of the build. */
function usualRelease(file: Buffer): Buffer {
  const { entries } = entriesOf(file);
  const classes = entries.filter(({ name, method }) => name.endsWith('.class') && method === 8);
  const middle = Math.floor(classes.length / 2);
  const changed = new Set(classes.slice(middle, middle + 10));
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const entry of entries) {
    const old = file.subarray(entry.data, entry.end);
    let content = entry.method === 8 ? inflateRawSync(old) : Buffer.from(old);
    let packed: Buffer = old;
    if (changed.has(entry)) {
      content = Buffer.concat([content, Buffer.from(`changed ${entry.name}`)]);
      packed = deflateRawSync(content);
    }
    const name = Buffer.from(entry.name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(entry.method, 4);
    common.writeUInt32LE(0x5b7a4000, 6);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    parts.push(Buffer.from('PK\x03\x04', 'latin1'), common, name, packed);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    central.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, name);
    offset += 30 + name.length + packed.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, directory, end]);
}
