import { constants, type Stats } from 'node:fs';
import {
  chmod,
  copyFile,
  type FileHandle,
  lchown,
  lstat,
  mkdir,
  readlink,
  symlink,
  utimes,
} from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { entriesOf, inside, itself, openDirectory, openThroughDirectories } from '../fs/descriptors.ts';
import { openNoFollow, systemCode } from '../fs/durable-files.ts';
import type { Space } from '../fs/space.ts';
import { isOpenToOthers, isTrustedUser, liesIn, trustedRealPath } from '../fs/trusted-path.ts';
import { directoryMode, fileMode } from './release-modes.ts';

/**
 * What ran before trigger-deploy, for `adopt`. Other users may own it, and change it meanwhile. So no link is followed
 * that others could have made, a file is judged and copied by its descriptor, and no private file of somebody else gets
 * into a release through a hard link.
 */

/** So deep may an adopted tree be: its directories are open at the same time. */
const DEEPEST = 200;
/** What a system call answers if another file has taken the place of the one that was seen. */
const CHANGED = ['ELOOP', 'ENOTDIR', 'EISDIR', 'EINVAL', 'ENXIO'];
const OTHERS_READ = 0o004;

/** An adopted file or directory, open. */
export interface Source {
  handle: FileHandle;
  stat: Stats;
  /** Its real path. */
  path: string;
}

/** Opens what is at `path` while `work` runs. @throws PACKAGE_INVALID for what must not be adopted; system errors. */
export async function withSource<T>(path: string, work: (source: Source) => Promise<T>): Promise<T> {
  const real = await trustedRealPath(path);
  const above = await openThroughDirectories(dirname(real));
  try {
    const { handle, stat } = await openEntry(above, Buffer.from(basename(real)), path);
    try {
      return await work({ handle, stat, path: real });
    } finally {
      await handle.close();
    }
  } finally {
    await above.close();
  }
}

/** The space of the tree below a directory. @throws PACKAGE_INVALID as `copyTree` would. */
export async function measureTree({ handle, path }: Source, depth = 1): Promise<Space> {
  assertDepth(depth);
  const space: Space = { bytes: 0, inodes: depth === 1 ? 4 : 0 };
  const directory = await handle.stat();
  for await (const { name, entry } of entriesOf(handle)) {
    const stat = await ifThere(lstat(inside(handle, name)));
    if (!stat) continue;
    space.bytes += Math.ceil(stat.size / stat.blksize) * stat.blksize;
    space.inodes += 1;
    const at = join(path, name.toString());
    if (stat.isFile()) assertNotForeign(stat, directory, at);
    if (!entry.isDirectory()) continue;
    const below = await ifThere(openEntry(handle, name, at));
    if (!below) continue;
    try {
      const { bytes, inodes } = await measureTree({ ...below, path: at }, depth + 1);
      space.bytes += bytes;
      space.inodes += inodes;
    } finally {
      await below.handle.close();
    }
  }
  return space;
}

/**
 * Copies a directory into the existing directory `to`, which only the agent can reach. Modes are those of a release. A
 * file keeps its owner, if the agent may give files away: the version that ran before must still be able to read its
 * keys. Directories do not, because their owner could plant links in them. A relative link to the outside becomes
 * absolute: from the place of the copy it would lead elsewhere. Sockets and the like belong to the process that made
 * them, and are left out, as tar does.
 */
export async function copyTree({ handle, stat, path }: Source, to: string): Promise<void> {
  await copyEntries({ handle, path, root: path, to, depth: 1 });
  await chmod(to, directoryMode(stat.mode));
}

interface Level {
  handle: FileHandle;
  /** The path of the directory, for messages and links, and that of the tree. */
  path: string;
  root: string;
  to: string;
  depth: number;
}

async function copyEntries(level: Level): Promise<void> {
  const { handle, path, to, depth } = level;
  assertDepth(depth);
  for await (const { name, entry } of entriesOf(handle)) {
    const at = join(path, name.toString());
    const place = join(to, name.toString());
    if (entry.isSymbolicLink()) {
      const target = await ifThere(readlink(inside(handle, name)).catch(changed(at)));
      if (target !== undefined) await symlink(targetOf(target, path, level.root), place);
    } else if (entry.isDirectory() || entry.isFile()) {
      const source = await ifThere(openEntry(handle, name, at));
      if (!source) continue;
      try {
        if (source.stat.isDirectory()) {
          await mkdir(place, { mode: 0o700 });
          await copyEntries({ ...level, handle: source.handle, path: at, to: place, depth: depth + 1 });
          await chmod(place, directoryMode(source.stat.mode));
        } else {
          await copyOpenFile(source, place, { keepOwner: true });
        }
      } finally {
        await source.handle.close();
      }
    }
  }
}

/** Copies an open file to `to`, a new file in a directory that only the agent can reach. Its mode is never widened. */
export async function copyOpenFile(
  { handle, stat }: Pick<Source, 'handle' | 'stat'>,
  to: string,
  { keepOwner }: { keepOwner: boolean },
): Promise<void> {
  await copyFile(itself(handle), to, constants.COPYFILE_EXCL);
  // Whoever owns a file can change it: one that everybody may read becomes the agent's.
  const isPrivate = (stat.mode & OTHERS_READ) === 0;
  const owner = keepOwner || isPrivate ? stat : { uid: 0, gid: 0 };
  if (process.getuid?.() === 0) await lchown(to, owner.uid, owner.gid);
  await chmod(to, fileMode(stat.mode));
  await utimes(to, stat.atime, stat.mtime);
}

/** Opens a file or a directory in an open directory. @throws PACKAGE_INVALID; ENOENT. */
async function openEntry(above: FileHandle, name: Buffer, at: string): Promise<Omit<Source, 'path'>> {
  const place = inside(above, name);
  const there = await lstat(place);
  if (!there.isDirectory() && !there.isFile()) throw invalid(`${at} is neither a file nor a directory`);
  const opening = there.isDirectory() ? openDirectory(place) : openNoFollow(place);
  const handle = await opening.catch(changed(at));
  try {
    const stat = await handle.stat();
    if (stat.isFile()) assertNotForeign(stat, await above.stat(), at);
    return { handle, stat };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Whoever can write to a directory can make hard links there to files that they cannot read, unless
 * `fs.protected_hardlinks` prevents it: proc_sys_fs(5).
 */
function assertNotForeign(file: Stats, directory: Stats, at: string): void {
  if (file.nlink === 1 || (file.mode & OTHERS_READ) !== 0 || !isOpenToOthers(directory)) return;
  if (file.uid === directory.uid && !isTrustedUser(file.uid)) return;
  throw new TriggerDeployError(
    'PACKAGE_INVALID',
    `${at} is a hard link to a private file of the user ${file.uid}, in a directory where others can write`,
    { hint: `remove it, or replace it by a copy: find / -xdev -inum ${file.ino} shows its other names` },
  );
}

function targetOf(target: string, directory: string, root: string): string {
  if (isAbsolute(target) || liesIn(resolve(directory, target), root)) return target;
  // Not shortened: `..` after a link within the target leads to the parent of where that link leads.
  return `${directory}/${target}`;
}

function assertDepth(depth: number): void {
  if (depth <= DEEPEST) return;
  throw new TriggerDeployError('PACKAGE_INVALID', `the tree is more than ${DEEPEST} directories deep`, {
    hint: 'remove the deep directories, or name another `path` under `adopt`',
  });
}

/** A service may remove its files meanwhile. */
async function ifThere<T>(work: Promise<T>): Promise<T | undefined> {
  return await work.catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
}

function changed(at: string): (error: unknown) => never {
  return (error) => {
    if (!CHANGED.includes(systemCode(error) ?? '')) throw error;
    throw new TriggerDeployError('PACKAGE_INVALID', `${at} was replaced while it was read`, {
      cause: error,
      hint: 'find out who changes it, then deploy again',
    });
  };
}

function invalid(message: string): TriggerDeployError {
  return new TriggerDeployError('PACKAGE_INVALID', message);
}
