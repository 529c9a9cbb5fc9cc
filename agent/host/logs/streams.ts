import { createHash } from 'node:crypto';
import * as z from 'zod';

/**
 * What is known of the logs of a service. A *stream* is one log from its first byte on. Rotation gives it other names
 * and other inodes, compresses it and copies it; its bytes stay, so it is known by them. Pure.
 */

const offset = z.int().min(0);
const range = z.tuple([offset, offset]);
const print = z.object({ length: offset, digest: z.string() });
const carrier = z.object({
  dev: z.string(),
  ino: z.string(),
  /** Size and modification time of the file when all of it was shipped: while both stay, nothing is left to ship. */
  settled: z.object({ size: z.number(), mtime: z.number() }).optional(),
});
const stream = z.object({
  kind: z.literal('file'),
  id: z.string(),
  /** The name under which it was first seen. */
  name: z.string(),
  /** When that was, ms since the epoch. */
  since: offset,
  /** The bytes that it begins with: a file of less or other bytes is another stream. */
  head: print,
  /** The bytes before `end`, the highest offset that was planned. */
  tail: print.extend({ end: offset }),
  /** What is in the bucket, in order. */
  shipped: z.array(range),
  /** What may be in the bucket: it is uploaded again, under the same key. */
  plan: range.optional(),
  /** The files that have its bytes. The one to read comes first. */
  carriers: z.array(carrier),
});
const unitLog = z.object({
  kind: z.literal('unit'),
  id: z.string(),
  since: offset,
  /** The last entry of the journal that is in the bucket. */
  cursor: z.string().optional(),
  /** How many bytes of text are in the bucket. */
  offset,
  /** What may be in the bucket: the entries up to this one, of this time in microseconds. */
  plan: z.object({ cursor: z.string(), at: z.number(), end: offset }).optional(),
});
/** What was uploaded on a day. */
const spent = z.object({ kind: z.literal('spent'), day: z.string(), bytes: offset });

/** Bytes `start` up to, but not including, `end`. */
export type Range = z.infer<typeof range>;
/** The digest of some bytes. */
export type Print = z.infer<typeof print>;
/** A file that has the bytes of a stream. */
export type Carrier = z.infer<typeof carrier>;
export type Stream = z.infer<typeof stream>;
export type UnitLog = z.infer<typeof unitLog>;

/** An entry of the state on disk. */
export const logEntry = z.discriminatedUnion('kind', [stream, unitLog, spent]);
export type LogEntry = z.infer<typeof logEntry>;

/** How many bytes a print covers at most. */
export const PRINT_BYTES = 1024;

export function printOf(bytes: Buffer): Print {
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
  return { length: bytes.length, digest };
}

export const isSamePrint = (a: Print, b: Print) => a.length === b.length && a.digest === b.digest;

/** The ranges with `range` among them, in order, joined where they touch. */
export function withRange(ranges: readonly Range[], range: Range): Range[] {
  const joined: Range[] = [];
  for (const [start, end] of [...ranges, range].sort((a, b) => a[0] - b[0])) {
    const last = joined.at(-1);
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined;
}

/** The first bytes below `end` that are not shipped, at most `most`; undefined if all are. */
export function firstGap(shipped: readonly Range[], end: number, most: number): Range | undefined {
  let start = 0;
  for (const [from, to] of shipped) {
    if (from > start) return start >= end ? undefined : [start, Math.min(from, end, start + most)];
    start = to;
  }
  return start >= end ? undefined : [start, Math.min(end, start + most)];
}

/** The last bytes below `end` that are not shipped, at most `most`; undefined if all are. */
export function lastGap(shipped: readonly Range[], end: number, most: number): Range | undefined {
  let to = end;
  for (const [start, shippedTo] of shipped.toReversed()) {
    if (start >= to) continue;
    if (shippedTo < to) return [Math.max(shippedTo, to - most), to];
    to = start;
  }
  return to === 0 ? undefined : [Math.max(0, to - most), to];
}

/** How many bytes below `end` are not shipped. */
export function unshipped(shipped: readonly Range[], end: number): number {
  const done = shipped.map(([from, to]) => Math.max(0, Math.min(to, end) - Math.min(from, end)));
  return done.reduce((left, bytes) => left - bytes, end);
}

/** Of a file: device and inode. */
export const inodeOf = ({ dev, ino }: Pick<Carrier, 'dev' | 'ino'>) => `${dev}:${ino}`;
