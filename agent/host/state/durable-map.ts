import { constants } from 'node:fs';
import { dirname } from 'node:path';
import {
  makeDirectories,
  openNoFollow,
  readNoFollow,
  writeDurably,
  writeRange,
} from '../fs/durable-files.ts';
import { sweepTemporaries } from '../fs/leftovers.ts';
import { formatLine, intactLines } from './journal-lines.ts';

/**
 * A map that survives a power cut. Its file has a line for each change, like the journal of a service. A damaged line is
 * left out, the others count. Most changes go into bytes that the file has already: a disk may be full.
 */
export interface DurableMap<V> {
  readonly entries: ReadonlyMap<string, V>;
  /**
   * Sets all of these, or removes what is undefined; on disk when it resolves. All or nothing. It keeps the values
   * themselves. @throws system errors.
   */
  set(changes: Readonly<Record<string, V | undefined>>): Promise<void>;
}

const NEWLINE = 0x0a;
/** So many empty lines, besides as many as there is content, come after it: the next changes overwrite them. */
const SPARE = 128 * 1024;
/** More of the file is not read. */
const READ_LIMIT = 64 * 1024 * 1024;

/** `parse` throws for what is no value: such an entry is left out. */
export async function openDurableMap<V>(path: string, parse: (value: unknown) => V): Promise<DurableMap<V>> {
  const entries = new Map<string, V>();
  /** Where the next line goes, and where the file ends. 0 and 0: there is no file that can be written to. */
  let end = 0;
  let size = 0;
  /** The last change may be on disk in part. */
  let isDoubtful = false;
  let last: Promise<unknown> = Promise.resolve();

  await sweepTemporaries(path);
  const bytes = await readNoFollow(path, READ_LIMIT);
  if (bytes) {
    for (const line of intactLines(bytes)) load(line);
    size = bytes.length;
    // After the last byte that is no newline, which may be in the middle of a line.
    end = size;
    while (end > 0 && bytes[end - 1] === NEWLINE) end -= 1;
  }

  function load(line: unknown): void {
    if (typeof line !== 'object' || line === null) return;
    for (const [key, value] of Object.entries(line)) {
      entries.delete(key);
      if (value !== null) keep(key, value);
    }
  }

  function keep(key: string, value: unknown): void {
    try {
      entries.set(key, parse(value));
    } catch {
      // What it stands for is found anew.
    }
  }

  async function write(changes: Readonly<Record<string, V | undefined>>): Promise<void> {
    const nulls = Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, value ?? null]));
    const line = Buffer.from(`\n${formatLine(nulls)}`);
    const fits = end > 0 && end + line.length <= size;
    if (!fits || isDoubtful) {
      await rewrite(nulls).catch(async (error: unknown) => {
        if (!fits) throw error;
        await overwrite(line);
      });
    } else await overwrite(line);
    for (const [key, value] of Object.entries(changes)) {
      if (value === undefined) entries.delete(key);
      else entries.set(key, value);
    }
  }

  async function overwrite(line: Buffer): Promise<void> {
    isDoubtful = true;
    const file = await openNoFollow(path, constants.O_WRONLY);
    try {
      await writeRange(file, line, end);
      await file.datasync();
      end += line.length;
      isDoubtful = false;
    } finally {
      await file.close();
    }
  }

  async function rewrite(changes: Record<string, unknown>): Promise<void> {
    const all = Object.entries({ ...Object.fromEntries(entries), ...changes });
    const lines = all
      .filter(([, value]) => value !== null)
      .map((one) => formatLine(Object.fromEntries([one])));
    const text = Buffer.from(lines.join('') || '\n');
    await makeDirectories(dirname(path), 0o700);
    const content = Buffer.concat([text, Buffer.alloc(text.length + SPARE, NEWLINE)]);
    await writeDurably(path, content);
    end = text.length;
    size = content.length;
    isDoubtful = false;
  }

  return {
    entries,
    set(changes) {
      const written = last.then(() => write(changes));
      last = written.catch(() => {});
      return written;
    },
  };
}
