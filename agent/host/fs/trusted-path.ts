import type { Stats } from 'node:fs';
import { lstat, readlink } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { TriggerDeployError } from '../../../shared/errors.ts';
import { systemError } from './durable-files.ts';

/**
 * Whom the agent trusts with files: root, and its own user. A directory that anybody else can write to may hold links
 * that this user planted, and another file at each look.
 */

const STICKY = 0o1000;
const OTHERS_WRITE = 0o022;
/** As many links as the kernel follows: path_resolution(7). */
const LINKS_AT_MOST = 40;

type Attributes = Pick<Stats, 'uid' | 'mode'>;

/** Whether the user is root or the agent's. */
export function isTrustedUser(uid: number): boolean {
  return uid === 0 || uid === process.getuid?.();
}

/** Whether others can write to the directory: add names to it, at least. */
export function isOpenToOthers({ uid, mode }: Attributes): boolean {
  return !isTrustedUser(uid) || (mode & OTHERS_WRITE) !== 0;
}

/** Whether others can replace any name in the directory. With the sticky bit, as in /tmp, only those of their own files. */
export function isReplaceableByOthers(directory: Attributes): boolean {
  const { uid, mode } = directory;
  return isOpenToOthers(directory) && !(isTrustedUser(uid) && (mode & STICKY) !== 0);
}

/** A file on the way to a path. All directories above `path` are directories, not links. */
export interface Step {
  path: string;
  stat: Stats;
}

/**
 * All that the kernel looks up on the way to `path`, an absolute path: directories and links from `/` on, and what
 * `path` names. A link is followed after it was yielded. @throws the system error of what cannot be looked up.
 */
export async function* stepsTo(path: string): AsyncGenerator<Step> {
  const names = namesOf(path);
  let at = '/';
  let links = 0;
  yield { path: at, stat: await lstat(at) };
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') {
      at = dirname(at);
      continue;
    }
    const step = { path: join(at, name), stat: await lstat(join(at, name)) };
    yield step;
    if (!step.stat.isSymbolicLink()) {
      at = step.path;
      continue;
    }
    links += 1;
    if (links > LINKS_AT_MOST) throw systemError('ELOOP', `too many links in ${path}`);
    const target = await readlink(step.path);
    names.unshift(...namesOf(target));
    if (isAbsolute(target)) at = '/';
  }
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/**
 * The real path of `path`. A link is followed only where nobody but root and the agent's user could have put it.
 * @throws PACKAGE_INVALID for any other link; the system error of what cannot be looked up.
 */
export async function trustedRealPath(path: string): Promise<string> {
  const directories = new Map<string, Stats>();
  const open: string[] = [];
  let real = '/';
  for await (const { path: at, stat } of stepsTo(path)) {
    if (!stat.isSymbolicLink()) {
      real = at;
      if (!stat.isDirectory()) continue;
      directories.set(at, stat);
      if (isReplaceableByOthers(stat)) open.push(at);
      continue;
    }
    const above = directories.get(dirname(at));
    const isPlanted = !isTrustedUser(stat.uid) && (!above || isOpenToOthers(above));
    const where = open.find((directory) => liesIn(at, directory)) ?? (isPlanted ? dirname(at) : undefined);
    if (where === undefined) continue;
    throw new TriggerDeployError('PACKAGE_INVALID', `${at} is a link in ${where}, where others can write`, {
      hint: `name the path that the link leads to instead of ${path}, or let only root write to ${where}`,
    });
  }
  return real;
}

/** Whether `path` is `root` or lies in it. */
export function liesIn(path: string, root: string | undefined): boolean {
  return root !== undefined && (path === root || path.startsWith(root === '/' ? '/' : `${root}/`));
}
