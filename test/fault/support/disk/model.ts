import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import type { Op } from './trace.ts';

/**
 * A disk on which only fsync(2) makes anything last. It knows two things of everything: what the kernel shows,
 * and what would be there after a power cut. POSIX promises no more than this; real file systems are kinder.
 * A rename within one file system is one change, of both directories at once: it is kept whole or lost whole.
 */
interface FileNode {
  kind: 'file';
  data: Buffer;
  /** The bytes at the last fsync; undefined before the first. */
  synced: Buffer | undefined;
  /** Kept whole at a power cut: nothing that is published depends on it alone. */
  executable: boolean;
}
interface LinkNode {
  kind: 'link';
  target: string;
}
interface DirectoryNode {
  kind: 'directory';
  path: string;
  entries: Map<string, Node>;
  durable: Map<string, Node>;
}
export type Node = FileNode | LinkNode | DirectoryNode;

interface Entry {
  directory: DirectoryNode;
  name: string;
  node: Node | undefined;
}
/** A change of one or two directories that is not on disk yet. */
interface Change {
  sets: Entry[];
}

/** What is found after the power is back. */
export type Tree = Map<string, { file: Buffer; executable: boolean } | { link: string } | { tree: Tree }>;

/** How much of what was written and not synced survives: nothing, its length, half of it, or all of it. */
export type Kept = 'synced' | 'zeroed' | 'torn' | 'all';
const KEPT: readonly Kept[] = ['synced', 'zeroed', 'torn', 'all'];

export interface Disk {
  /** Carries out the next event; whether it changed anything that a power cut could show. */
  apply(event: Event): boolean;
  /** Every state that a power cut at this moment may leave behind, each once. */
  afterPowerCut(): Tree[];
  /** The harshest of them: nothing is there that was not synced. */
  durable(): Tree;
  /** What the kernel shows: what a killed process leaves behind. */
  visible(): Tree;
  at(path: string): Node | undefined;
  /** What keeps `path`, and all that is below it, from surviving a power cut once its name does. */
  unsynced(path: string): string[];
  /** Whether changes of the directory wait for its fsync. */
  isPending(directory: string): boolean;
}

/** The end of a call, or the beginning of one where it counts: an fsync covers what was done before it began. */
export type Event = { at: number; op: Op; phase: 'begin' | 'end' };

export function eventsOf(ops: readonly Op[]): Event[] {
  const events: Event[] = [];
  for (const op of ops) {
    // The number of a closed file may be given to the next one before the close is seen to end.
    if (op.op === 'close') events.push({ at: op.begin, op, phase: 'end' });
    else events.push({ at: op.end, op, phase: 'end' });
    if (op.op === 'fsync' || op.op === 'rename') events.push({ at: op.begin - 0.5, op, phase: 'begin' });
  }
  return events.sort((a, b) => a.at - b.at);
}

/** An empty disk whose one directory `root` is there for good. */
export function createDisk(root: string): Disk {
  const top = newDirectory(root);
  const files = new Map<number, { node: Node; position: number; append: boolean }>();
  const begun = new Map<Op, { data: Buffer | undefined; changes: Set<Change> }>();
  let pending: Change[] = [];

  const inside = (path: string) => path === root || path.startsWith(`${root}/`);

  function at(path: string): Node | undefined {
    let node: Node | undefined = top;
    for (const name of path.slice(root.length).split('/').filter(Boolean)) {
      if (node?.kind !== 'directory') return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  function directoryOf(path: string): DirectoryNode {
    const node = at(dirname(path));
    if (node?.kind !== 'directory') throw new Error(`the trace is not whole: no directory for ${path}`);
    return node;
  }

  function change(...places: [path: string, node: Node | undefined][]): void {
    const sets = places.map(([path, node]) => ({ directory: directoryOf(path), name: basename(path), node }));
    for (const one of sets) put(one.directory.entries, one);
    pending.push({ sets });
  }

  /** What was to be on disk under the same name before is overtaken. */
  function commit(done: Change): void {
    const index = pending.indexOf(done);
    if (index === -1) return;
    for (const one of done.sets) {
      put(one.directory.durable, one);
      for (const earlier of pending.slice(0, index)) {
        earlier.sets = earlier.sets.filter((set) => set.directory !== one.directory || set.name !== one.name);
      }
    }
    pending = pending.filter((other) => other !== done && other.sets.length > 0);
  }

  function write(fd: number, data: Buffer, position: number | undefined): void {
    const file = files.get(fd);
    if (file?.node.kind !== 'file') return;
    const { node } = file;
    const from = position ?? (file.append ? node.data.length : file.position);
    const grown = Buffer.alloc(Math.max(node.data.length, from + data.length));
    node.data.copy(grown);
    data.copy(grown, from);
    node.data = grown;
    if (position === undefined) file.position = from + data.length;
  }

  function perform(op: Op): boolean {
    switch (op.op) {
      case 'open': {
        if (!inside(op.path)) return false;
        let node = at(op.path);
        const made = !node && op.create;
        if (made) {
          node = {
            kind: 'file',
            data: Buffer.alloc(0),
            synced: undefined,
            executable: (op.mode & 0o100) !== 0,
          };
          change([op.path, node]);
        }
        if (!node) throw new Error(`the trace is not whole: ${op.path} was opened and never made`);
        if (op.truncate && node.kind === 'file') node.data = Buffer.alloc(0);
        files.set(op.fd, { node, position: 0, append: op.append });
        return made || op.truncate;
      }
      case 'chmod': {
        const node = files.get(op.fd)?.node;
        if (node?.kind === 'file') node.executable = (op.mode & 0o100) !== 0;
        return false;
      }
      case 'close':
        files.delete(op.fd);
        return false;
      case 'write':
        write(op.fd, op.data, op.at);
        return files.has(op.fd);
      case 'truncate': {
        const node = files.get(op.fd)?.node;
        if (node?.kind !== 'file') return false;
        const cut = Buffer.alloc(op.length);
        node.data.copy(cut);
        node.data = cut;
        return true;
      }
      case 'copy': {
        const source = files.get(op.from);
        if (!files.has(op.to)) return false;
        if (source?.node.kind !== 'file')
          throw new Error('a copy within the kernel, of bytes that are not known');
        const from = op.at ?? source.position;
        if (op.at === undefined) source.position += op.length;
        write(op.to, source.node.data.subarray(from, from + op.length), undefined);
        return true;
      }
      case 'mkdir':
        if (inside(op.path)) change([op.path, newDirectory(op.path)]);
        return inside(op.path);
      case 'symlink':
        if (inside(op.path)) change([op.path, { kind: 'link', target: op.target }]);
        return inside(op.path);
      case 'link':
        if (inside(op.to)) change([op.to, at(op.from)]);
        return inside(op.to);
      case 'unlink':
      case 'rmdir':
        if (inside(op.path)) change([op.path, undefined]);
        return inside(op.path);
      case 'rename': {
        if (!inside(op.to)) return false;
        const node = at(op.from);
        if (!node) throw new Error(`the trace is not whole: ${op.from} was renamed and never made`);
        change([op.from, undefined], [op.to, node]);
        if (node.kind === 'directory') node.path = op.to;
        return true;
      }
      case 'mark':
        return false;
      case 'fsync': {
        const node = files.get(op.fd)?.node;
        const covered = begun.get(op);
        if (!node || !covered) return false;
        if (node.kind === 'file') node.synced = covered.data;
        for (const done of covered.changes) commit(done);
        return true;
      }
    }
  }

  function begin(op: Op): void {
    const node = op.op === 'fsync' ? files.get(op.fd)?.node : undefined;
    if (!node) return;
    const touching = node.kind === 'directory' ? pending.filter((one) => touches(one, node)) : [];
    begun.set(op, {
      data: node.kind === 'file' ? Buffer.from(node.data) : undefined,
      changes: new Set(touching),
    });
  }

  /** The tree when, of the changes that wait, those of `kept` made it to the disk. */
  function treeWith(kept: ReadonlySet<Change>, bytes: Kept): Tree {
    const shown = new Map<DirectoryNode, Map<string, Node>>();
    for (const { sets } of pending.filter((one) => kept.has(one))) {
      for (const one of sets) {
        const entries = shown.get(one.directory) ?? new Map(one.directory.durable);
        shown.set(one.directory, entries);
        put(entries, one);
      }
    }
    const grow = (directory: DirectoryNode): Tree => {
      const tree: Tree = new Map();
      for (const [name, node] of shown.get(directory) ?? directory.durable) {
        if (node.kind === 'link') tree.set(name, { link: node.target });
        else if (node.kind === 'file')
          tree.set(name, { file: contentOf(node, bytes), executable: node.executable });
        else tree.set(name, { tree: grow(node) });
      }
      return tree;
    };
    return grow(top);
  }

  return {
    at,

    apply(event) {
      if (event.phase === 'end') return perform(event.op);
      begin(event.op);
      return false;
    },

    durable: () => treeWith(new Set(), 'synced'),
    visible: () => treeWith(new Set(pending), 'all'),

    afterPowerCut() {
      const choices: Change[][] = [[], pending];
      // Directories reach the disk in any order: each alone, and all but each.
      for (const directory of new Set(pending.flatMap(({ sets }) => sets.map((set) => set.directory)))) {
        choices.push(
          pending.filter((one) => touches(one, directory)),
          pending.filter((one) => !touches(one, directory)),
        );
      }
      // And in the order in which they were made, cut off anywhere.
      for (let count = 1; count < pending.length; count += 1) choices.push(pending.slice(0, count));
      const trees = new Map<string, Tree>();
      for (const kept of choices) {
        for (const bytes of KEPT) {
          const tree = treeWith(new Set(kept), bytes);
          trees.set(digestOf(tree), tree);
        }
      }
      return [...trees.values()];
    },

    unsynced(path) {
      const problems: string[] = [];
      const look = (node: Node | undefined, name: string): void => {
        if (node?.kind === 'file' && !node.synced?.equals(node.data)) problems.push(`file ${name}`);
        if (node?.kind !== 'directory') return;
        if (pending.some((one) => touches(one, node))) problems.push(`directory ${name}`);
        for (const [child, below] of node.entries) look(below, `${name}/${child}`);
      };
      look(at(path), path);
      return problems;
    },

    isPending(directory) {
      const node = at(directory);
      return node?.kind === 'directory' && pending.some((one) => touches(one, node));
    },
  };
}

/**
 * The same for two trees if and only if nothing tells them apart. Of directories that are private, whose
 * contents nobody reads before they are removed, only the names at their top count.
 */
export function digestOf(tree: Tree, isPrivate: (name: string) => boolean = () => false): string {
  const hash = createHash('sha256');
  const feed = (part: Tree): void => {
    for (const [name, node] of [...part].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if ('tree' in node) {
        hash.update(`d${name}\0`);
        if (isPrivate(name)) hash.update([...node.tree.keys()].sort().join('/'));
        else feed(node.tree);
        hash.update('e');
      } else if ('link' in node) hash.update(`l${name}\0${node.link}\0`);
      else hash.update(`f${name}\0${node.executable}${node.file.length}\0`).update(node.file);
    }
  };
  feed(tree);
  return hash.digest('hex');
}

function newDirectory(path: string): DirectoryNode {
  return { kind: 'directory', path, entries: new Map(), durable: new Map() };
}

function put(entries: Map<string, Node>, { name, node }: Entry): void {
  if (node) entries.set(name, node);
  else entries.delete(name);
}

function touches({ sets }: Change, directory: DirectoryNode): boolean {
  return sets.some((one) => one.directory === directory);
}

function contentOf({ data, synced = Buffer.alloc(0) }: FileNode, kept: Kept): Buffer {
  if (kept === 'all' || data.equals(synced)) return data;
  if (kept === 'synced') return synced;
  const same = Math.min(synced.length, data.length);
  if (kept === 'torn') return data.subarray(0, same + Math.floor((data.length - same) / 2));
  const zeroed = Buffer.alloc(data.length);
  data.copy(zeroed, 0, 0, same);
  return zeroed;
}
