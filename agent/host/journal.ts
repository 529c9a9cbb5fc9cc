import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../shared/errors.ts';
import type { Journal } from '../deploy/ports.ts';
import {
  fsyncDirectory,
  ignoring,
  makeDirectories,
  openNoFollow,
  readRange,
  removeTree,
  sweepTemporaries,
  writeDurably,
} from './files.ts';

/**
 * The durable memory of one service: a line for each state, `HASH JSON\n`, where HASH is the first 16 hex
 * digits of the JSON's sha256. The last line that is whole is the state; a line torn by a power cut, or bytes
 * gone bad, only ever cost the lines they are in.
 */

type ServiceState = Parameters<Journal['append']>[0];

/** Above this the file is replaced by its last line. Bytes. */
const COMPACT_ABOVE = 256 * 1024;
/** No state is longer; of a file that is, only the end is read. Bytes. */
const READ_LIMIT = 32 * 1024 * 1024;
/** Evidence of what was unreadable: how many files, and how much of each (its end), is kept. */
const QUARANTINES_KEPT = 5;
const QUARANTINE_LIMIT = 4 * 1024 * 1024;
const HASH_LENGTH = 16;
const NEWLINE = 0x0a;

/** `parse` is the schema of a state: it throws for whatever is not one. */
export function createJournal({
  path,
  parse,
}: {
  path: string;
  parse: (value: unknown) => ServiceState;
}): Journal {
  /** What lies on disk is not known to end in a whole line: the next append replaces the file. */
  let replaceNext = true;
  /** Appends happen one after the other. */
  let last: Promise<unknown> = Promise.resolve();

  async function load(): ReturnType<Journal['load']> {
    await sweepTemporaries(path).catch(() => {});
    const content = await readEnd(path);
    if (!content) return { state: undefined, quarantined: undefined };
    const { state, bad } = lastState(content.bytes, parse);
    replaceNext = true;
    if (content.whole && !bad) {
      // A killed agent may have written it and never synced it; what is acted on must not be forgotten.
      replaceNext = state === undefined || !(await settled());
      return { state, quarantined: undefined };
    }
    const quarantined = await setAside(content.bytes);
    // A full disk must not keep the agent from starting: then the next append repairs the file.
    if (state) await replace(lineOf(state)).catch(() => {});
    return { state, quarantined };
  }

  /** Whether the file, and its name, are on disk by now. */
  async function settled(): Promise<boolean> {
    try {
      const handle = await openNoFollow(path);
      try {
        await handle.datasync();
      } finally {
        await handle.close();
      }
      await fsyncDirectory(dirname(path));
      await makeDirectories(dirname(path), 0o700);
      return true;
    } catch {
      return false;
    }
  }

  /** A person may want to look at it. The name of the copy, or why there is none. */
  async function setAside(bytes: Buffer): Promise<string> {
    const copy = `${path}.corrupt-${new Date().toISOString().replace(/[:.]/g, '-')}`;
    try {
      await writeDurably(copy, bytes.subarray(Math.max(0, bytes.length - QUARANTINE_LIMIT)));
      const prefix = `${basename(path)}.corrupt-`;
      const copies = (await readdir(dirname(path))).filter((name) => name.startsWith(prefix)).sort();
      for (const name of copies.slice(0, -QUARANTINES_KEPT)) await removeTree(join(dirname(path), name));
      return copy;
    } catch (error) {
      return `${path} (not copied: ${messageOf(error)})`;
    }
  }

  async function replace(line: string): Promise<void> {
    await makeDirectories(dirname(path), 0o700);
    await writeDurably(path, line);
    replaceNext = false;
  }

  async function write(line: string): Promise<void> {
    if (replaceNext) return replace(line);
    const flags = constants.O_WRONLY | constants.O_APPEND;
    const handle = await openNoFollow(path, flags).catch(ignoring('ENOENT', undefined));
    if (!handle) return replace(line);
    let size: number;
    try {
      // Until it is known to be on disk, the file may end in half a line.
      replaceNext = true;
      await handle.writeFile(line);
      await handle.datasync();
      replaceNext = false;
      size = (await handle.stat()).size;
    } finally {
      await handle.close();
    }
    // The state is safe already: a full disk only leaves the file long.
    if (size > COMPACT_ABOVE) await replace(line).catch(() => {});
  }

  return {
    load,
    append(state) {
      const line = lineOf(state);
      const written = last.then(() => write(line));
      last = written.catch(() => {});
      return written;
    },
  };
}

/** The state a journal holds, for whoever only looks: nothing is set aside and nothing repaired. */
export async function readJournal({
  path,
  parse,
}: {
  path: string;
  parse: (value: unknown) => ServiceState;
}): Promise<ServiceState | undefined> {
  const content = await readEnd(path);
  return content && lastState(content.bytes, parse).state;
}

async function readEnd(path: string): Promise<{ bytes: Buffer; whole: boolean } | undefined> {
  const handle = await openNoFollow(path).catch(ignoring('ENOENT', undefined));
  if (!handle) return undefined;
  try {
    const start = Math.max(0, (await handle.stat()).size - READ_LIMIT);
    return { bytes: await readRange(handle, start, READ_LIMIT), whole: start === 0 };
  } finally {
    await handle.close();
  }
}

function lineOf(state: ServiceState): string {
  const json = JSON.stringify(state);
  return `${hashOf(json)} ${json}\n`;
}

function hashOf(json: string | Uint8Array): string {
  return createHash('sha256').update(json).digest('hex').slice(0, HASH_LENGTH);
}

/** The last whole state, and whether any line is not one. A last line without its newline may be whole. */
function lastState(
  bytes: Buffer,
  parse: (value: unknown) => ServiceState,
): { state: ServiceState | undefined; bad: boolean } {
  let state: ServiceState | undefined;
  let bad = bytes.length > 0 && bytes[bytes.length - 1] !== NEWLINE;
  for (let end = bytes.length; end > 0; ) {
    const newlineBefore = bytes.lastIndexOf(NEWLINE, end - 1);
    const line = bytes.subarray(newlineBefore + 1, end);
    end = newlineBefore;
    if (line.length === 0) continue;
    // Older lines only have to be intact; the state itself also has to be one.
    if (!isIntact(line)) bad = true;
    else if (!state) {
      state = stateIn(line, parse);
      if (!state) bad = true;
    }
  }
  return { state, bad };
}

function isIntact(line: Buffer): boolean {
  if (line.length <= HASH_LENGTH + 1 || line[HASH_LENGTH] !== 0x20) return false;
  return line.toString('latin1', 0, HASH_LENGTH) === hashOf(line.subarray(HASH_LENGTH + 1));
}

function stateIn(line: Buffer, parse: (value: unknown) => ServiceState): ServiceState | undefined {
  try {
    return parse(JSON.parse(line.toString('utf8', HASH_LENGTH + 1)));
  } catch {
    return undefined;
  }
}
