import { createHash } from 'node:crypto';

/**
 * The lines of a journal: `HASH JSON\n`. HASH is the first 16 hex digits of the sha256 of the JSON. Empty lines do not
 * count. Pure.
 */

const HASH_LENGTH = 16;
const NEWLINE = 0x0a;

export function formatLine(state: unknown): string {
  const json = JSON.stringify(state);
  return `${hashOf(json)} ${json}\n`;
}

/**
 * The last intact state. `bad` means that a line is damaged, or that the last line has no newline. Such a last line can
 * still be intact: then it is the state.
 */
export function lastState<T>(
  bytes: Buffer,
  parse: (value: unknown) => T,
): { state: T | undefined; bad: boolean } {
  let state: T | undefined;
  let bad = bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE;
  for (const line of linesFromTheEnd(bytes)) {
    // Every line must be intact. The last intact line must also be a valid state, else an older line is used.
    if (!isIntact(line)) bad = true;
    else if (state === undefined) {
      state = stateIn(line, parse);
      if (state === undefined) bad = true;
    }
  }
  return { state, bad };
}

/** The values of all intact lines, the first line first. */
export function* intactLines(bytes: Buffer): Generator<unknown, undefined> {
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(NEWLINE, start);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(start, end);
    if (isIntact(line)) yield JSON.parse(line.toString('utf8', HASH_LENGTH + 1));
    start = end + 1;
  }
}

/** One write to a journal: `bytes` at the offset `at`. It must be synced before the next write. */
export interface Overwrite {
  at: number;
  bytes: Buffer;
}

/**
 * The writes that put `line` into a journal that cannot grow. They overwrite the bytes after the last intact line. If
 * there are too few, they overwrite the bytes before it, and then blank the last intact line itself. After any partial
 * write, either the old last line or the new line is intact. Undefined if there is no room, or no intact line.
 */
export function inPlaceWrites(journal: Buffer, line: string): Overwrite[] | undefined {
  const last = lastIntact(journal);
  if (!last) return undefined;
  const start = last.byteOffset - journal.byteOffset;
  const end = start + last.length + 1;
  const size = Buffer.byteLength(line);
  const blankUpTo = (from: number, to: number) => Buffer.alloc(to - from, NEWLINE);
  if (size <= journal.length - end) {
    return [{ at: end, bytes: Buffer.concat([Buffer.from(line), blankUpTo(end + size, journal.length)]) }];
  }
  if (size > start) return undefined;
  return [
    { at: 0, bytes: Buffer.concat([Buffer.from(line), blankUpTo(size, start)]) },
    { at: start, bytes: blankUpTo(start, journal.length) },
  ];
}

/** Yields the lines without their newlines, the last line first. Skips empty lines. */
function* linesFromTheEnd(bytes: Buffer): Generator<Buffer, undefined> {
  for (let end = bytes.length; end > 0; ) {
    const newlineBefore = bytes.lastIndexOf(NEWLINE, end - 1);
    if (end > newlineBefore + 1) yield bytes.subarray(newlineBefore + 1, end);
    end = newlineBefore;
  }
}

function lastIntact(bytes: Buffer): Buffer | undefined {
  for (const line of linesFromTheEnd(bytes)) if (isIntact(line)) return line;
  return undefined;
}

function hashOf(json: string | Uint8Array): string {
  return createHash('sha256').update(json).digest('hex').slice(0, HASH_LENGTH);
}

function isIntact(line: Buffer): boolean {
  if (line.length <= HASH_LENGTH + 1 || line[HASH_LENGTH] !== 0x20) return false;
  return line.toString('latin1', 0, HASH_LENGTH) === hashOf(line.subarray(HASH_LENGTH + 1));
}

function stateIn<T>(line: Buffer, parse: (value: unknown) => T): T | undefined {
  try {
    return parse(JSON.parse(line.toString('utf8', HASH_LENGTH + 1)));
  } catch {
    return undefined;
  }
}
