import { hash } from 'node:crypto';
import { posix } from 'node:path';
import { TriggerDeployError } from '../errors.ts';

/** What an archive may contain. Pure: each entry is judged, in order, before any of it is written. */

export const MAX_ENTRIES = 100_000;
export const MAX_BYTES = 10 * 1024 ** 3; // unpacked

/** The part of a tar header that is judged. */
export interface EntryHeader {
  path: string;
  type: string;
  mode: number;
  size: number; // bytes
  linkpath: string;
}

export interface Limits {
  entries: number;
  bytes: number;
  /** A name at the top that no entry may have. */
  reserved: string;
  /** Whether the link `path` may lead to `target`, which is outside the release. */
  allowsLink(path: string, target: string): boolean;
}

/** Where an entry is written. */
export interface Judged {
  /** The path within the release, without `.` and empty parts; '' for the archive's root. */
  path: string;
  /** For a hard link: the path of its target within the release. */
  target: string;
  /** Whether an earlier file or link has this path: the last one counts, as in `tar -x`. */
  replaces: boolean;
}

type Kind = 'file' | 'directory' | 'link';
/** `implied`: a directory that is known only from the paths of other entries. */
type Known = Kind | 'implied';

const MAX_PATH = 1024; // bytes
const SETUID_SETGID = 0o6000;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Judges the entries of one archive; call `judge` for each entry, in order.
 * @throws ARCHIVE_UNSAFE with the entry and the reason.
 */
export function createArchiveJudge(limits: Limits) {
  /** The kind of every path so far. The key is a digest, which saves memory: there may be many long paths. */
  const known = new Map<string, Known>();
  /** How many directories up each link leads. It must not lead further when it is linked from another directory. */
  const climbs = new Map<string, number>();
  /** The directory of the previous entry, which is already checked. */
  let lastDirectory = '';
  let entries = 0;
  let implied = 0;
  let bytes = 0;

  function judge(entry: EntryHeader): Judged {
    const refuse = (why: string, hint?: string) => unsafe(entry.path, why, hint);
    if (!Number.isSafeInteger(entry.size) || entry.size < 0) throw refuse('has an invalid size');
    entries += 1;
    bytes += entry.size;
    if (entries > limits.entries) throw refuse(`exceeds the limit of ${limits.entries} entries`);
    if (bytes > limits.bytes) throw refuse(`unpacks to more than ${limits.bytes} bytes`);

    const kind = kindOf(entry.type);
    if (!kind) throw refuse(`is a ${entry.type}`);
    // The bits of a directory only say which group new files get; they are left out.
    if (kind === 'file' && (entry.mode & SETUID_SETGID) !== 0) throw refuse('is setuid or setgid');
    const parts = partsOf(entry.path, refuse);
    const path = parts.join('/');
    if (path === '') {
      if (kind !== 'directory') throw refuse('replaces the release directory itself');
      return { path, target: '', replaces: false };
    }
    if (Buffer.byteLength(path) > MAX_PATH) throw refuse('has a path that is too long');
    if (parts[0] === limits.reserved) throw refuse("has the name of the agent's release record");
    const key = keyOf(path);
    const before = known.get(key);
    implyParents(parts, refuse);
    if ((before === 'directory' || before === 'implied') && kind !== 'directory')
      throw refuse('replaces a directory');
    if (entry.type === 'SymbolicLink') climbs.set(key, climbOf(parts, entry.linkpath, limits, refuse));
    let target = '';
    known.set(key, kind);
    if (entry.type === 'Link') {
      target = targetOf(entry.linkpath, refuse);
      if (target === path) throw refuse('is a hard link to itself');
      known.set(key, linkedKind(parts, target, refuse));
      climbs.set(key, climbs.get(keyOf(target)) ?? 0);
    }
    return { path, target, replaces: before === 'file' || before === 'link' };
  }

  function implyParents(path: readonly string[], refuse: (why: string) => Error): void {
    const directory = path.slice(0, -1).join('/');
    if (directory === lastDirectory) return;
    for (let depth = 1; depth < path.length; depth += 1) {
      const parent = path.slice(0, depth).join('/');
      const kind = known.get(keyOf(parent));
      if (kind === 'file' || kind === 'link')
        throw refuse(`is inside ${parent}, which is a ${kind} and not a directory`);
      if (kind !== undefined) continue;
      known.set(keyOf(parent), 'implied');
      implied += 1;
      if (implied > limits.entries)
        throw refuse(`exceeds the limit of ${limits.entries} directories without an entry`);
    }
    lastDirectory = directory;
  }

  /** A hard link may only point to an earlier file or link of this archive. */
  function linkedKind(path: readonly string[], target: string, refuse: (why: string) => Error): Kind {
    const kind = known.get(keyOf(target));
    if (kind !== 'file' && kind !== 'link') {
      throw refuse(`is a hard link to ${printable(target)}, which is not an earlier file`);
    }
    // The same relative target leads elsewhere from another directory.
    if (kind === 'link' && (climbs.get(keyOf(target)) ?? 0) > path.length - 1) {
      throw refuse(`is a hard link to ${printable(target)}, which leads outside the release from there`);
    }
    return kind;
  }

  return { judge };
}

function keyOf(path: string): string {
  return hash('sha256', path, 'base64');
}

function kindOf(type: string): Kind | undefined {
  switch (type) {
    case 'File':
    // A hard link counts as the file that it links to.
    case 'Link':
      return 'file';
    case 'Directory':
      return 'directory';
    case 'SymbolicLink':
      return 'link';
    default:
      return undefined;
  }
}

function targetOf(target: string, refuse: (why: string) => Error): string {
  return partsOf(target, (why) => refuse(`its target ${why}`)).join('/');
}

function partsOf(path: string, refuse: (why: string) => Error): string[] {
  if (CONTROL.test(path)) throw refuse('has control characters in its name');
  if (path.startsWith('/')) throw refuse('is an absolute path');
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refuse('has ".." in its path');
  if (parts.some((part) => Buffer.byteLength(part) > 255)) throw refuse('has a name that is too long');
  return parts;
}

/**
 * How many directories up the target of a symbolic link leads. `..` is allowed only at the start of the target. There
 * it leads from one real directory to its parent, because no entry lies below a link. After the name of a link, `..`
 * would lead to the parent of the place that this link points to. A link to the outside needs the limits' permission.
 */
function climbOf(
  path: readonly string[],
  target: string,
  limits: Limits,
  refuse: (why: string, hint?: string) => Error,
): number {
  if (target === '' || CONTROL.test(target)) throw refuse('is a link with an invalid target');
  if (Buffer.byteLength(target) > MAX_PATH) throw refuse('is a link with a target that is too long');
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const named = parts.findIndex((part) => part !== '..');
  const up = named === -1 ? parts.length : named;
  const isAbsolute = target.startsWith('/');
  if (parts.slice(isAbsolute ? 0 : up).includes('..')) {
    throw refuse(`is a link to ${printable(target)}, which has ".." after a name`);
  }
  if (isAbsolute || up > path.length - 1) {
    if (!limits.allowsLink(path.join('/'), target)) {
      const hint = `to allow it, add the target to allowLinks of the package in the agent's config: ${target}`;
      throw refuse(`is a link to ${printable(target)}, outside the release`, hint);
    }
    // Absolute links lead to the same place from everywhere; other ones to the outside are not linked again.
    return isAbsolute ? 0 : Number.POSITIVE_INFINITY;
  }
  return up;
}

/**
 * Allows links to `allowed` and below. Such a path is absolute, or begins with `..` and counts from the release's
 * directory; `release` is its real path. Pure: the places themselves are not looked at.
 */
export function linksTo(allowed: readonly string[], release: string): Limits['allowsLink'] {
  const places = allowed.map((place) => posix.resolve(release, place));
  return (path, target) => {
    const wanted = posix.resolve(release, posix.dirname(path), target);
    return places.some((place) => wanted === place || wanted.startsWith(place === '/' ? place : `${place}/`));
  };
}

function printable(name: string): string {
  const quoted = JSON.stringify(name.slice(0, 200));
  return quoted.replaceAll(/[\u007f-\u009f]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`);
}

export function unsafe(path: string, why: string, hint?: string): TriggerDeployError {
  const message = `the archive is rejected: ${printable(path)} ${why}`;
  return new TriggerDeployError('ARCHIVE_UNSAFE', message, { hint });
}
