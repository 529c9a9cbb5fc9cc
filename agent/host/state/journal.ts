import { constants } from 'node:fs';
import { readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf, TriggerDeployError } from '../../../shared/errors.ts';
import type { Journal } from '../../deploy/ports.ts';
import {
  fsyncDirectory,
  ignoreCode,
  lstatIfAny,
  makeDirectories,
  openNoFollow,
  readRange,
  systemCode,
  writeDurably,
  writeRange,
} from '../fs/durable-files.ts';
import { removeLeftover, sweepTemporaries } from '../fs/leftovers.ts';
import { formatLine, inPlaceWrites, lastState } from './journal-lines.ts';

/**
 * The journal of one service has a line for each state (journal-lines.ts). The last intact line is the current state. A
 * line that a power cut or a disk error has damaged does not affect the other lines.
 */

type ServiceState = Parameters<Journal['append']>[0];

/** A journal larger than this, bytes, is replaced by its last line and SPARE. */
const COMPACT_ABOVE = 256 * 1024;
/** How much of the end of a journal is read, bytes. No state is that long. */
const READ_LIMIT = 32 * 1024 * 1024;
/** Copies of damaged journals: how many are kept, and how many bytes (from the end) of each. */
const QUARANTINES_KEPT = 5;
const QUARANTINE_LIMIT = 4 * 1024 * 1024;
/** Empty lines at the start of a compacted journal. On a full disk, the states of a rollback overwrite them. */
const SPARE = '\n'.repeat(32 * 1024);

/** `parse` validates a state: it throws for anything else. */
export function createJournal({
  path,
  parse,
}: {
  path: string;
  parse: (value: unknown) => ServiceState;
}): Journal {
  /** Whether the next append replaces the file: the file might not end in an intact line that is on disk. */
  let replaceNext = true;
  /** The last append. The next append waits for it. */
  let last: Promise<unknown> = Promise.resolve();

  async function load(): ReturnType<Journal['load']> {
    await sweepTemporaries(path);
    const aside = await putDirectoryAside();
    if (aside) return { state: undefined, quarantined: aside };
    const content = await readEnd(path);
    if (!content) return { state: undefined, quarantined: undefined };
    const { state, bad } = lastState(content.bytes, parse);
    replaceNext = true;
    if (content.whole && !bad) {
      // A killed agent may have written the file without a sync. A state must be on disk before the agent acts on it.
      replaceNext = state === undefined || !(await isOnDisk());
      // The agent never writes a file without a state: something else has emptied the file.
      return { state, quarantined: undefined, ...(state === undefined && { emptied: path }) };
    }
    const quarantined = await quarantine(content.bytes);
    // A full disk must not prevent the start of the agent. After a failure here the next append repairs the file.
    if (state) await replace(formatLine(state)).catch(() => {});
    return { state, quarantined };
  }

  /** Something else made a directory where the journal belongs. Returns its new path; undefined if there is none. */
  async function putDirectoryAside(): Promise<string | undefined> {
    if (!(await lstatIfAny(path))?.isDirectory()) return undefined;
    const aside = copyPath();
    await rename(path, aside);
    return aside;
  }

  const copyPath = () => `${path}.corrupt-${new Date().toISOString().replace(/[:.]/g, '-')}`;

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

  /**
   * Copies a damaged journal, for the operator. Returns the path of the copy, or a text that says why there is none.
   */
  async function quarantine(bytes: Buffer): Promise<string> {
    const copy = copyPath();
    try {
      await writeDurably(copy, bytes.subarray(Math.max(0, bytes.length - QUARANTINE_LIMIT)));
      const prefix = `${basename(path)}.corrupt-`;
      const copies = (await readdir(dirname(path))).filter((name) => name.startsWith(prefix)).sort();
      for (const name of copies.slice(0, -QUARANTINES_KEPT)) await removeLeftover(join(dirname(path), name));
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
   * Appends a line. On a full disk it overwrites older lines instead. A full disk also makes checks fail, and the
   * rollback that follows must not need free space.
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
        await writeRange(handle, bytes, at);
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
    // The state is already on disk. If this fails, the file only stays long.
    if (size > COMPACT_ABOVE) await replace(SPARE + line).catch(() => {});
  }

  return {
    load,
    append(state) {
      const line = formatLine(state);
      const written = last.then(() => write(line));
      last = written.catch(() => {});
      // The version is not the cause, so the deployment does not fail: the agent resumes it from the journal.
      return written.catch((cause: unknown) => {
        throw new TriggerDeployError('INTERRUPTED', `${path} cannot be written: ${messageOf(cause)}`, {
          cause,
        });
      });
    },
  };
}

/** Reads the state in a journal. Changes nothing on disk. */
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
