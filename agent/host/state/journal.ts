import { constants } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { Journal } from '../../deploy/ports.ts';
import {
  fsyncDirectory,
  ignoreCode,
  makeDirectories,
  openNoFollow,
  readRange,
  removeTree,
  sweepTemporaries,
  systemCode,
  writeDurably,
} from '../fs/durable-files.ts';
import { formatLine, inPlaceWrites, lastState } from './journal-lines.ts';

/**
 * The journal of one service: a line for each state (journal-lines.ts). The last intact line is the state; a line
 * damaged by a power cut or a disk error does not affect the others.
 */

type ServiceState = Parameters<Journal['append']>[0];

/** A larger file is replaced by its last line. Bytes. */
const COMPACT_ABOVE = 256 * 1024;
/** Of a larger file only the end is read. Bytes; no state is that long. */
const READ_LIMIT = 32 * 1024 * 1024;
/** Copies of damaged journals: how many are kept, and how many bytes (from the end) of each. */
const QUARANTINES_KEPT = 5;
const QUARANTINE_LIMIT = 4 * 1024 * 1024;
/** Empty lines in a compacted journal: room for a rollback on a full disk. */
const SPARE = '\n'.repeat(32 * 1024);

/** `parse` validates a state: it throws for anything else. */
export function createJournal({
  path,
  parse,
}: {
  path: string;
  parse: (value: unknown) => ServiceState;
}): Journal {
  /** The file may not end in an intact line: the next append replaces it. */
  let replaceNext = true;
  /** Appends are made one after the other. */
  let last: Promise<unknown> = Promise.resolve();

  async function load(): ReturnType<Journal['load']> {
    await sweepTemporaries(path).catch(() => {});
    const content = await readEnd(path);
    if (!content) return { state: undefined, quarantined: undefined };
    const { state, bad } = lastState(content.bytes, parse);
    replaceNext = true;
    if (content.whole && !bad) {
      // A killed agent may have written it without a sync; a state that is acted on must be on disk.
      replaceNext = state === undefined || !(await isOnDisk());
      // The agent never writes an empty file.
      return { state, quarantined: undefined, ...(state === undefined && { emptied: path }) };
    }
    const quarantined = await quarantine(content.bytes);
    // A full disk must not prevent the start: the next append then repairs the file.
    if (state) await replace(formatLine(state)).catch(() => {});
    return { state, quarantined };
  }

  /** Syncs the file and its name; returns whether that succeeded. */
  async function isOnDisk(): Promise<boolean> {
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

  /** Copies a damaged journal, for the operator. The path of the copy, or why there is none. */
  async function quarantine(bytes: Buffer): Promise<string> {
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

  /**
   * On a full disk, older lines are overwritten: a full disk also makes checks fail, and a rollback must not need free
   * space.
   */
  async function write(line: string): Promise<void> {
    try {
      await appendLine(line);
    } catch (error) {
      const full = systemCode(error) === 'ENOSPC' || systemCode(error) === 'EDQUOT';
      if (!full || !(await writeInPlace(line).catch(() => false))) throw error;
    }
  }

  async function writeInPlace(line: string): Promise<boolean> {
    const handle = await openNoFollow(path, constants.O_RDWR);
    try {
      const { size } = await handle.stat();
      if (size > READ_LIMIT) return false;
      const overwrites = inPlaceWrites(await readRange(handle, 0, size), line);
      for (const { at, bytes } of overwrites ?? []) {
        for (let done = 0; done < bytes.length; ) {
          done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
        }
        await handle.datasync();
      }
      return overwrites !== undefined;
    } finally {
      await handle.close();
    }
  }

  async function appendLine(line: string): Promise<void> {
    if (replaceNext) return replace(line);
    const flags = constants.O_WRONLY | constants.O_APPEND;
    const handle = await openNoFollow(path, flags).catch(ignoreCode('ENOENT', undefined));
    if (!handle) return replace(line);
    let size: number;
    try {
      // Until the sync has succeeded, the file may end in a partial line.
      replaceNext = true;
      await handle.writeFile(line);
      await handle.datasync();
      replaceNext = false;
      size = (await handle.stat()).size;
    } finally {
      await handle.close();
    }
    // The state is already on disk: after a failure here the file only stays long.
    if (size > COMPACT_ABOVE) await replace(SPARE + line).catch(() => {});
  }

  return {
    load,
    append(state) {
      const line = formatLine(state);
      const written = last.then(() => write(line));
      last = written.catch(() => {});
      // Not a failure of the version: the deployment is resumed from the journal.
      return written.catch((cause: unknown) => {
        throw new TriggerDeployError('INTERRUPTED', `${path} cannot be written: ${messageOf(cause)}`, {
          cause,
        });
      });
    },
  };
}

/** The state in a journal, read without copying or repairing anything. */
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
  const handle = await openNoFollow(path).catch(ignoreCode('ENOENT', undefined));
  if (!handle) return undefined;
  try {
    const start = Math.max(0, (await handle.stat()).size - READ_LIMIT);
    return { bytes: await readRange(handle, start, READ_LIMIT), whole: start === 0 };
  } finally {
    await handle.close();
  }
}
