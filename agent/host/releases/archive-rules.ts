import { hash } from 'node:crypto';
import { TriggerDeployError } from '../../../shared/errors.ts';

/** What an archive may hold. Pure: an entry after the other, each judged before anything of it is written. */

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
/** By now: a directory without an entry of its own is only implied. */
type Known = Kind | 'implied';

const MAX_PATH = 1024; // bytes
const SETUID_SETGID = 0o6000;
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Judges the entries of one archive, in order. `judge` returns the entry's path within the release, with no
 * `.` or empty parts; '' for the archive's root.
 * @throws ARCHIVE_UNSAFE, naming the entry and why.
 */
export function createArchiveJudge(limits: { entries: number; bytes: number; reserved: string }) {
  /** Every path there is by now, by its digest: paths may be long, and there may be `limits.entries` of them. */
  const known = new Map<string, Known>();
  /** The directory of the entry before: it is known to be one. */
  let lastDirectory = '';
  let entries = 0;
  let implied = 0;
  let bytes = 0;

  function judge(entry: EntryHeader): string {
    const refuse = (why: string) => unsafe(entry.path, why);
    if (!Number.isSafeInteger(entry.size) || entry.size < 0) throw refuse('has no proper size');
    entries += 1;
    bytes += entry.size;
    if (entries > limits.entries) throw refuse(`more than ${limits.entries} entries`);
    if (bytes > limits.bytes) throw refuse(`unpacks to more than ${limits.bytes} bytes`);

    const kind = kindOf(entry.type);
    if (!kind) throw refuse(`is a ${entry.type}`);
    if (((entry.mode ?? 0) & SETUID_SETGID) !== 0) throw refuse('is setuid or setgid');
    const path = partsOf(entry.path, refuse);
    const name = path.join('/');
    if (name === '') {
      if (kind !== 'directory') throw refuse('takes the place of the release itself');
      return name;
    }
    if (Buffer.byteLength(name) > MAX_PATH) throw refuse('has too long a path');
    if (path[0] === limits.reserved) throw refuse("has the name of the agent's own record");
    const before = known.get(keyOf(name));
    if (before !== undefined && before !== 'implied') throw refuse('is there twice');
    implyParents(path, refuse);
    if (before === 'implied' && kind !== 'directory') throw refuse('takes the place of a directory');
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
      if (kind === 'file' || kind === 'link') throw refuse(`lies below the ${kind} ${parent}`);
      if (kind !== undefined) continue;
      known.set(keyOf(parent), 'implied');
      implied += 1;
      if (implied > limits.entries) throw refuse(`more than ${limits.entries} directories without an entry`);
    }
    lastDirectory = directory;
  }

  /** A hard link to a file of this archive that came before it: to nothing else. */
  function assertKnownFile(target: string, refuse: (why: string) => Error): void {
    const name = partsOf(target, (why) => refuse(`its target ${why}`)).join('/');
    if (known.get(keyOf(name)) !== 'file')
      throw refuse(`is a hard link to ${printable(target)}, no earlier file`);
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
    // A hard link is the file it stands for.
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
  if (parts.some((part) => Buffer.byteLength(part) > 255)) throw refuse('has too long a name');
  return parts;
}

/**
 * `..` only at the front of a target: there it climbs real directories, for no entry lies below a link. After
 * another part it would climb from wherever that part, perhaps a link itself, leads to.
 */
function assertStaysInside(path: readonly string[], target: string, refuse: (why: string) => Error): void {
  const leaves = () => refuse(`is a link that leaves the release, to ${printable(target)}`);
  if (target === '' || CONTROL.test(target)) throw refuse('is a link without a proper target');
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
  return new TriggerDeployError('ARCHIVE_UNSAFE', `the archive is refused whole: ${printable(path)} ${why}`);
}
