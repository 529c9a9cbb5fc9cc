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
 * The durable memory of one service: a line for each state (journal-lines.ts). The last line that is whole is the
 * state; a line torn by a power cut, or bytes gone bad, only ever cost the lines they are in.
 */

type ServiceState = Parameters<Journal['append']>[0];

/** Above this the file is replaced by its last line. Bytes. */
const COMPACT_ABOVE = 256 * 1024;
/** No state is longer; of a file that is, only the end is read. Bytes. */
const READ_LIMIT = 32 * 1024 * 1024;
/** Evidence of what was unreadable: how many files, and how much of each (its end), is kept. */
const QUARANTINES_KEPT = 5;
const QUARANTINE_LIMIT = 4 * 1024 * 1024;
/** Empty lines kept in a compacted journal: room for a rollback on a disk that is full. */
const SPARE = '\n'.repeat(32 * 1024);

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
      replaceNext = state === undefined || !(await isOnDisk());
      // No write of ours leaves it without a line.
      return { state, quarantined: undefined, ...(state === undefined && { emptied: path }) };
    }
    const quarantined = await quarantine(content.bytes);
    // A full disk must not keep the agent from starting: then the next append repairs the file.
    if (state) await replace(formatLine(state)).catch(() => {});
    return { state, quarantined };
  }

  /** Whether the file, and its name, are on disk by now. */
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

  /** A person may want to look at it. The name of the copy, or why there is none. */
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
   * On a full disk the lines that are no longer needed give their place: what fills disks also fails checks, and
   * a rollback must not wait for room.
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
    if (size > COMPACT_ABOVE) await replace(SPARE + line).catch(() => {});
  }

  return {
    load,
    append(state) {
      const line = formatLine(state);
      const written = last.then(() => write(line));
      last = written.catch(() => {});
      // No verdict on any version: the journal holds where things stand, and they are taken up from there.
      return written.catch((cause: unknown) => {
        throw new TriggerDeployError('INTERRUPTED', `${path} cannot be written: ${messageOf(cause)}`, {
          cause,
        });
      });
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
  const handle = await openNoFollow(path).catch(ignoreCode('ENOENT', undefined));
  if (!handle) return undefined;
  try {
    const start = Math.max(0, (await handle.stat()).size - READ_LIMIT);
    return { bytes: await readRange(handle, start, READ_LIMIT), whole: start === 0 };
  } finally {
    await handle.close();
  }
}
