import { hash } from 'node:crypto';
import { TriggerDeployError } from '../../../shared/errors.ts';

/** What an archive may contain. Pure: each entry is judged, in order, before any of it is written. */

export const MAX_ENTRIES = 100_000;
export const MAX_BYTES = 10 * 1024 ** 3; // unpacked

/** The part of a tar header that is judged. */
export interface EntryHeader {
  path: string;
  type: string;
  mode?: number | undefined;
  size: number; // bytes
  linkpath?: string | undefined;
}

type Kind = 'file' | 'directory' | 'link';
/** `implied`: a directory that is known only from the paths of other entries. */
type Known = Kind | 'implied';

const MAX_PATH = 1024; // bytes
const SETUID_SETGID = 0o6000;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Judges the entries of one archive; call `judge` for each entry, in order. It returns the entry's path within the
 * release, without `.` and empty parts; '' for the archive's root.
 * @throws ARCHIVE_UNSAFE with the entry and the reason.
 */
export function createArchiveJudge(limits: { entries: number; bytes: number; reserved: string }) {
  /** The kind of every path so far. The key is a digest, which saves memory: there may be many long paths. */
  const known = new Map<string, Known>();
  /** The directory of the previous entry, which is already checked. */
  let lastDirectory = '';
  let entries = 0;
  let implied = 0;
  let bytes = 0;

  function judge(entry: EntryHeader): string {
    const refuse = (why: string) => unsafe(entry.path, why);
    if (!Number.isSafeInteger(entry.size) || entry.size < 0) throw refuse('has an invalid size');
    entries += 1;
    bytes += entry.size;
    if (entries > limits.entries) throw refuse(`exceeds the limit of ${limits.entries} entries`);
    if (bytes > limits.bytes) throw refuse(`unpacks to more than ${limits.bytes} bytes`);

    const kind = kindOf(entry.type);
    if (!kind) throw refuse(`is a ${entry.type}`);
    if (((entry.mode ?? 0) & SETUID_SETGID) !== 0) throw refuse('is setuid or setgid');
    const path = partsOf(entry.path, refuse);
    const name = path.join('/');
    if (name === '') {
      if (kind !== 'directory') throw refuse('replaces the release directory itself');
      return name;
    }
    if (Buffer.byteLength(name) > MAX_PATH) throw refuse('has a path that is too long');
    if (path[0] === limits.reserved) throw refuse("has the name of the agent's release record");
    const before = known.get(keyOf(name));
    if (before !== undefined && before !== 'implied') throw refuse('occurs twice');
    implyParents(path, refuse);
    if (before === 'implied' && kind !== 'directory') throw refuse('replaces a directory');
    if (entry.type === 'SymbolicLink') assertStaysInside(path, entry.linkpath ?? '', refuse);
    if (entry.type === 'Link') assertKnownFile(entry.linkpath ?? '', refuse);
    known.set(keyOf(name), kind);
    return name;
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

  /** A hard link may only point to an earlier file of this archive. */
  function assertKnownFile(target: string, refuse: (why: string) => Error): void {
    const name = partsOf(target, (why) => refuse(`its target ${why}`)).join('/');
    if (known.get(keyOf(name)) !== 'file')
      throw refuse(`is a hard link to ${printable(target)}, which is not an earlier file`);
  }

  return { judge };
}

function keyOf(path: string): string {
  return hash('sha256', path, 'base64');
}

function kindOf(type: string): Kind | undefined {
  switch (type) {
    case 'File':
    case 'OldFile':
    case 'ContiguousFile':
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

function partsOf(path: string, refuse: (why: string) => Error): string[] {
  if (CONTROL.test(path)) throw refuse('has control characters in its name');
  if (path.startsWith('/')) throw refuse('is an absolute path');
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refuse('has ".." in its path');
  if (parts.some((part) => Buffer.byteLength(part) > 255)) throw refuse('has a name that is too long');
  return parts;
}

/**
 * Refuses a symbolic link to a target outside the release. `..` is allowed only at the start of the target. There it
 * leads from one real directory to its parent, because no entry lies below a link. After the name of a link, `..` would
 * lead to the parent of the place that this link points to.
 */
function assertStaysInside(path: readonly string[], target: string, refuse: (why: string) => Error): void {
  const leaves = () => refuse(`is a link to ${printable(target)}, outside the release`);
  if (target === '' || CONTROL.test(target)) throw refuse('is a link with an invalid target');
  if (target.startsWith('/')) throw leaves();
  const parts = target.split('/').filter((part) => part !== '' && part !== '.');
  const climbs = parts.findIndex((part) => part !== '..');
  const up = climbs === -1 ? parts.length : climbs;
  if (up > path.length - 1) throw leaves();
  if (parts.slice(up).includes('..')) throw leaves();
}

function printable(name: string): string {
  return JSON.stringify(name.slice(0, 200));
}

export function unsafe(path: string, why: string): TriggerDeployError {
  return new TriggerDeployError('ARCHIVE_UNSAFE', `the archive is rejected: ${printable(path)} ${why}`);
}
