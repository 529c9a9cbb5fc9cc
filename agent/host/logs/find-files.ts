import type { BigIntStats } from 'node:fs';
import { type FileHandle, lstat, readFile } from 'node:fs/promises';
import { messageOf } from '../../../shared/errors.ts';
import { entriesOf, inside, openThroughDirectories } from '../fs/descriptors.ts';
import { ignoreCode, openNoFollow, systemCode } from '../fs/durable-files.ts';
import { isOpenToOthers, trustedRealPath } from '../fs/trusted-path.ts';
import { stampOf } from './content.ts';
import { matcherOf } from './family.ts';

/**
 * Finds and opens log files. The user of a service may write to their directory, and this process may be root: no link
 * is followed, and no file is read that the user could have put there without being able to read it.
 */

/** Log files of the config: those in `dir` whose names match. */
export interface LogFiles {
  dir: string;
  match: string;
}

export interface FoundFile {
  dir: string;
  /** The bytes of the name, which need not be UTF-8. */
  name: Buffer;
  label: string;
  dev: string;
  ino: string;
  size: number;
  mtime: number;
}

/** Hears, once for each `path`, why a file or a directory is not read. */
export type TellSkipped = (path: string, why: string) => void;

/** More files of one service are not looked at. */
const FILES_AT_MOST = 10_000;

/** Directories that are open, each under the path that led to it when it was first looked at. */
export interface OpenDirectories {
  at(dir: string): Promise<OpenDirectory>;
  close(): Promise<void>;
}

interface OpenDirectory {
  handle: FileHandle;
  /** Why a file in it is not read; undefined if it is. */
  refusal(stat: BigIntStats): string | undefined;
}

export function openDirectories(): OpenDirectories {
  const open = new Map<string, OpenDirectory>();
  return {
    async at(dir) {
      const known = open.get(dir);
      if (known) return known;
      const handle = await openThroughDirectories(await trustedRealPath(dir));
      const { uid } = await handle.stat();
      const linkable = await canLink(handle);
      const opened = { handle, refusal: (stat: BigIntStats) => refusal(stat, uid, linkable) };
      open.set(dir, opened);
      return opened;
    },
    async close() {
      for (const { handle } of open.values()) await handle.close();
      open.clear();
    },
  };
}

/** The regular files that match, each once. A directory that does not exist has none. */
export async function findFiles(
  places: readonly LogFiles[],
  directories: OpenDirectories,
  skipped: TellSkipped,
  signal: AbortSignal,
): Promise<FoundFile[]> {
  const found = new Map<string, FoundFile>();
  for (const place of places) {
    try {
      for await (const file of filesOf(place, directories, skipped)) {
        signal.throwIfAborted();
        found.set(`${file.dir}\0${file.name.toString('latin1')}`, file);
        if (found.size < FILES_AT_MOST) continue;
        skipped(place.dir, `more than ${FILES_AT_MOST} files match; those after them are not looked at`);
        return [...found.values()];
      }
    } catch (error) {
      signal.throwIfAborted();
      if (systemCode(error) !== 'ENOENT') skipped(place.dir, messageOf(error));
    }
  }
  return [...found.values()];
}

async function* filesOf(
  { dir, match }: LogFiles,
  directories: OpenDirectories,
  skipped: TellSkipped,
): AsyncGenerator<FoundFile> {
  const { handle, refusal } = await directories.at(dir);
  const matches = matcherOf(match);
  for await (const { name } of entriesOf(handle)) {
    const label = name.toString('utf8');
    if (!matches(label)) continue;
    const stat = await lstat(inside(handle, name), { bigint: true }).catch(ignoreCode('ENOENT', undefined));
    if (!stat || stat.isDirectory()) continue;
    const why = refusal(stat);
    if (why === undefined) yield { dir, name, label, ...attributes(stat) };
    else skipped(`${dir}/${label}`, why);
  }
}

/** Opens the file for reading; undefined if it is another one by now, or cannot be read. */
export async function openFound(
  file: FoundFile,
  directories: OpenDirectories,
  skipped: TellSkipped,
): Promise<FileHandle | undefined> {
  let handle: FileHandle | undefined;
  try {
    const directory = await directories.at(file.dir);
    handle = await openNoFollow(inside(directory.handle, file.name));
    const stat = await handle.stat({ bigint: true });
    const isSame = String(stat.dev) === file.dev && String(stat.ino) === file.ino;
    if (isSame && directory.refusal(stat) === undefined) return handle;
  } catch (error) {
    if (!['ENOENT', 'ELOOP', 'EINVAL'].includes(systemCode(error) ?? ''))
      skipped(`${file.dir}/${file.label}`, messageOf(error));
  }
  await handle?.close();
  return undefined;
}

const attributes = (stat: BigIntStats) => ({
  dev: String(stat.dev),
  ino: String(stat.ino),
  ...stampOf(stat),
});

/**
 * Why the file is not read; undefined if it is. `owner` owns the directory. A link in place of a file could lead to any
 * file. So could another hard link: a user who may make one of a file that is not the user's (`linkable`) could have the
 * file read by root, also when its own name is gone.
 */
function refusal(stat: BigIntStats, owner: number, linkable: boolean): string | undefined {
  if (stat.isSymbolicLink()) return 'it is a link; name the directory that the file is in';
  if (!stat.isFile()) return 'it is not a regular file';
  if (stat.nlink > 1n) return 'it has more than one name (hard links)';
  if (linkable && Number(stat.uid) !== owner)
    return 'another user owns it than the directory, and fs.protected_hardlinks is off: anyone could have linked it there';
  return undefined;
}

/** Whether another user could make hard links of foreign files in the directory: proc_sys_fs(5). */
async function canLink(directory: FileHandle): Promise<boolean> {
  if (!isOpenToOthers(await directory.stat())) return false;
  const setting = await readFile('/proc/sys/fs/protected_hardlinks', 'utf8').catch(() => '0');
  return setting.trim() !== '1';
}
