import { basename, dirname } from 'node:path';
import type { Event } from './events.ts';
import {
  type Change,
  contentOf,
  type DirectoryNode,
  type FileNode,
  filesBelow,
  type Kept,
  type Node,
  newDirectory,
  put,
  touches,
} from './nodes.ts';
import type { Op } from './trace.ts';
import { digestOf, type Tree } from './tree.ts';

const KEPT: readonly Kept[] = ['synced', 'zeroed', 'torn', 'all'];

/**
 * A disk on which only fsync(2) and syncfs(2) make anything last. It knows two things of everything: what the kernel shows,
 * and what would be there after a power cut. POSIX promises no more than this; real file systems are kinder.
 * A rename within one file system is one change, of both directories at once: it is kept whole or lost whole.
 */
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

/** An empty disk whose one directory `root` is there for good. */
export function createDisk(root: string): Disk {
  const top = newDirectory(root);
  const files = new Map<number, { node: Node; position: number; append: boolean }>();
  const begun = new Map<Op, { data: Map<FileNode, Buffer>; changes: Set<Change> }>();
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
      case 'fsync':
      case 'syncfs': {
        const covered = begun.get(op);
        for (const [node, data] of covered?.data ?? []) node.synced = data;
        for (const done of covered?.changes ?? []) commit(done);
        return covered !== undefined;
      }
    }
  }

  /** All that the call covers is what was done before it began. */
  function begin(op: Op): void {
    if (op.op === 'syncfs' && inside(op.path)) {
      const data = new Map([...filesBelow(top)].map((node) => [node, Buffer.from(node.data)]));
      begun.set(op, { data, changes: new Set(pending) });
    }
    const node = op.op === 'fsync' ? files.get(op.fd)?.node : undefined;
    if (!node) return;
    const touching = node.kind === 'directory' ? pending.filter((one) => touches(one, node)) : [];
    const data = new Map(node.kind === 'file' ? [[node, Buffer.from(node.data)]] : []);
    begun.set(op, { data, changes: new Set(touching) });
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
